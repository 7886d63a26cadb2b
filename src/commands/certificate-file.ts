import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import type { Certification } from '../calibration/certification.ts'
import { certificateId, loadCertificates } from '../policy/certificate-file.ts'
import { formatProblem } from '../policy/problem.ts'
import type { CertificationReport } from './certify.ts'
import type { ModelVersion } from './model-version.ts'

/** What a certificate holds for, and from when to when, in milliseconds since 1970. */
export type Binding = {
  readonly model: ModelVersion
  readonly action: string
  readonly scoreKind: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** The files and columns a certificate was made from, and with what chance: `sluice report` makes it again from them. */
export type Made = {
  readonly labelled: string
  readonly unlabelled: string
  readonly columns: {
    readonly score: string
    readonly label: string
    readonly segment: string | null
    readonly cluster: string | null
    readonly time: string | null
  }
  readonly labelMeans: 'right' | 'error'
  readonly jointly: boolean
  readonly seed: number
}

/** One certificate as schemas/certificate.schema.json has it; `id` is the hash of all the rest. */
export type Certificate = {
  readonly id: string
  readonly model: ModelVersion
  readonly action: string
  readonly scoreKind: string
  readonly segment: string | null
  readonly budget: CertificationReport['budget']
  readonly risk: number
  readonly assurance: number
  readonly threshold: number
  readonly labels: number
  readonly labelledExecuted: number
  readonly labelledErrors: number
  readonly upperBound: number
  readonly coverage: number
  readonly grid: Certification['grid']
  readonly clusters: number | null
  readonly window: CertificationReport['window']
  readonly dataDigest: CertificationReport['dataDigest']
  readonly made: Made
  readonly issuedAt: string
  readonly expiresAt: string
  readonly promise: string
}

/** A certificate for each segment that has one; without segments the one for all. */
export function certificatesOf(report: CertificationReport, binding: Binding, made: Made): readonly Certificate[] {
  const parts = report.segments.length > 0 ? report.segments : [{ ...report, segment: null }]
  return parts.flatMap((part) => certificateOf(part, report, binding, made) ?? [])
}

type Part = Certification & { readonly segment: string | null; readonly promise: string | null }

function certificateOf(part: Part, report: CertificationReport, binding: Binding, made: Made): Certificate | null {
  const { threshold, upperBound, promise } = part
  if (threshold === null || upperBound === null || promise === null) return null
  const content = {
    model: binding.model,
    action: binding.action,
    scoreKind: binding.scoreKind,
    segment: part.segment,
    budget: report.budget,
    risk: report.risk,
    assurance: report.assurance,
    threshold,
    labels: part.labels,
    labelledExecuted: part.labelledExecuted,
    labelledErrors: part.labelledErrors,
    upperBound,
    coverage: part.coverage,
    grid: part.grid,
    clusters: report.clusters,
    window: report.window,
    dataDigest: report.dataDigest,
    made,
    issuedAt: new Date(binding.issuedAt).toISOString(),
    expiresAt: new Date(binding.expiresAt).toISOString(),
    promise,
  }
  return { id: certificateId(content), ...content }
}

// ---- reading one back -------------------------------------------------------------------------------------------

const column = z.string().nullable()
const madeSchema = z.object({
  labelled: z.string(),
  unlabelled: z.string(),
  columns: z.object({ score: z.string(), label: z.string(), segment: column, cluster: column, time: column }),
  labelMeans: z.enum(['right', 'error']),
  jointly: z.boolean(),
  seed: z.int(),
})

/** The certificate of this id, or of the only id that begins so; or why there is none, line by line. */
export async function findCertificate(file: string, id: string): Promise<Certificate | readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null)
    return [`${file}: it cannot be read; \`sluice certify -o\` writes certificates, --certificates says where`]
  const loaded = loadCertificates(text, file)
  if (loaded.kind === 'problems') return loaded.problems.map(formatProblem)
  // The loader has looked at every field, and at the id that it is the digest of them all.
  const { certificates } = parse(text) as { certificates: readonly Certificate[] }
  const found = certificates.filter((it) => id !== '' && it.id.startsWith(id))
  const [only] = found
  const ids = (of: readonly Certificate[]): string => of.map((it) => it.id).join(', ')
  if (only === undefined) return [`${file}: it has no certificate \`${id}\`; it has ${ids(certificates)}`]
  if (found.length > 1) return [`${file}: ${found.length} certificates begin with \`${id}\`: ${ids(found)}`]
  return madeSchema.safeParse(only.made).success
    ? only
    : [`${file}: certificate ${only.id} does not say what it was made from; certify anew with this release`]
}
