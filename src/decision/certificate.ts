import type { ModelOutput } from './event.ts'

/** What errors are counted against: those events that are executed, or all of them. */
export const BUDGETS = ['per-execution', 'per-event'] as const
export type Budget = (typeof BUDGETS)[number]

/**
 * That executing from `threshold` of the raw score upwards keeps the share of errors at or below `risk`, promised with
 * `assurance`, for exactly what it names; schemas/certificate.schema.json has every field. Times in milliseconds since 1970.
 */
export type Certificate = {
  readonly id: string
  readonly model: { readonly name: string; readonly version: string }
  readonly action: string
  readonly scoreKind: string
  /** null: the mix of all traffic, which says nothing of any one segment. */
  readonly segment: string | null
  readonly budget: Budget
  readonly risk: number
  readonly assurance: number
  readonly threshold: number
  readonly upperBound: number
  readonly issuedAt: number
  readonly expiresAt: number
}

/** Certificates by what they are bound to, one level each: action, model name, score kind, model version, segment. */
export type CertificateTree = {
  /** All from here downwards, the loosest first. */
  readonly certificates: readonly Certificate[]
  readonly below: ReadonlyMap<string | null, CertificateTree>
}

/**
 * All certificates in force: one file. `digest` is SHA-256 of its text, first 16 bytes in hex; `text` is published so that
 * a verdict can be recomputed. Both null where no file is configured.
 */
export type Certificates = {
  readonly tree: CertificateTree
  readonly digest: string | null
  readonly text: string | null
}

export const NO_CERTIFICATES: Certificates = { tree: { certificates: [], below: new Map() }, digest: null, text: null }

/** Built when certificates are loaded, so that a decision asks five Maps and never searches. */
export const certificateTree = (certificates: readonly Certificate[]): CertificateTree =>
  branch(certificates.toSorted(loosestFirst), LEVELS)

/** Of two equally loose ones the one that lasts longer; ids make the order the same everywhere. */
const loosestFirst = (a: Certificate, b: Certificate): number =>
  a.threshold - b.threshold || b.expiresAt - a.expiresAt || (a.id < b.id ? -1 : 1)

type Level = (certificate: Certificate) => string | null

const LEVELS: readonly Level[] = [
  ({ action }) => action,
  ({ model }) => model.name,
  ({ scoreKind }) => scoreKind,
  ({ model }) => model.version,
  ({ segment }) => segment,
]

function branch(certificates: readonly Certificate[], [level, ...rest]: readonly Level[]): CertificateTree {
  if (level === undefined) return { certificates, below: new Map() }
  const below = [...Map.groupBy(certificates, level)].map(([name, own]) => [name, branch(own, rest)] as const)
  return { certificates, below: new Map(below) }
}

/** All about scores of this kind that this model gives for this action, whatever its version and segment. */
export const relatedTo = ({ action, model, scoreKind }: ModelOutput, { tree }: Certificates): CertificateTree | null =>
  tree.below.get(action)?.below.get(model.name)?.below.get(scoreKind) ?? null
