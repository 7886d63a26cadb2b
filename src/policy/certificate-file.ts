import { isMap, type YAMLMap } from 'yaml'
import { BUDGETS, certificateTree, type Certificate, type Certificates } from '../decision/certificate.ts'
import { isoTime } from '../decision/words.ts'
import { digestOf } from './digest.ts'
import {
  choice,
  entriesOf,
  Fields,
  isWhole,
  list,
  nothingOr,
  number,
  probability,
  share,
  text,
  type Reader,
} from './fields.ts'
import { instant } from './instant.ts'
import type { Problem } from './problem.ts'
import { parseSource, startOf, type Source } from './source.ts'

export type LoadedCertificates =
  | { readonly kind: 'certificates'; readonly certificates: Certificates }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

/** What a certificate is named by: the digest of all else it says, in the order it says it. */
export const certificateId = (content: object): string => digestOf(JSON.stringify(content))

/**
 * Reads a file of certificates (JSON or YAML), as `sluice certify -o` writes it, or says everything that is wrong with it;
 * `file` is named in the problems. The list may be empty: a processor starts with it before anything was certified, and
 * takes over what is written there later. The format is schemas/certificate.schema.json. Never throws.
 */
export function loadCertificates(text: string, file: string): LoadedCertificates {
  const parsed = parseSource(text, file)
  if (parsed.kind === 'problems') return parsed
  const { source, root } = parsed
  const place = { name: 'the file', keyOffset: 0, offset: startOf(root), node: root }
  const fields = Fields.of(source, place, ['$schema', 'certificates'])
  const found = fields?.required('certificates', list(certificate, { max: 500 }), 'List what was certified.')
  reportTwins(source, found ?? [])
  if (source.problems.length > 0 || found === undefined) return { kind: 'problems', problems: source.problems }
  const tree = certificateTree(found.map(({ certificate }) => certificate))
  return { kind: 'certificates', certificates: { tree, digest: digestOf(text), text } }
}

type PlacedCertificate = { readonly certificate: Certificate; readonly offset: number }

const HINT = 'Take the file as `sluice certify -o` wrote it.'
const name = text({ max: 200, hint: 'Write it as the events do.' })
const words = text({ max: 5_000, hint: HINT })
const digest = text({ pattern: /^[0-9a-f]{32}$/u, max: 32, hint: HINT })
const count = number({ holds: (value) => Number.isSafeInteger(value) && value >= 0, hint: 'Write a whole number.' })

const BINDING = ['model', 'action', 'scoreKind', 'segment', 'budget', 'risk', 'assurance', 'threshold', 'expiresAt']
const EVIDENCE = ['labels', 'labelledExecuted', 'labelledErrors', 'upperBound', 'coverage', 'grid', 'clusters']
const ORIGIN = ['window', 'dataDigest', 'made', 'issuedAt', 'promise']
const KNOWN = ['id', ...BINDING, ...EVIDENCE, ...ORIGIN]

const certificate: Reader<PlacedCertificate> = (source, value) => {
  const fields = Fields.of(source, value, KNOWN)
  if (fields === undefined) return undefined
  const bound = boundOf(fields)
  const counted = countedOf(fields)
  const reported = reportedOf(fields)
  if (!isWhole(bound) || !isWhole(counted) || !isWhole(reported)) return undefined
  reportDoubts(source, fields, bound, counted)
  if (isMap(value.node)) reportEdits(source, fields, bound.id, value.node)
  return { certificate: bound, offset: value.offset }
}

const boundOf = (fields: Fields) => ({
  id: fields.required('id', digest, HINT),
  model: fields.required('model', group({ name, version: name }), HINT),
  action: fields.required('action', name, HINT),
  scoreKind: fields.required('scoreKind', name, HINT),
  segment: fields.required('segment', nothingOr(name), 'The segment it holds for; null for the mix of all traffic.'),
  budget: fields.required('budget', choice(BUDGETS), HINT),
  risk: fields.required('risk', probability, HINT),
  assurance: fields.required('assurance', probability, HINT),
  threshold: fields.required('threshold', share, HINT),
  upperBound: fields.required('upperBound', share, HINT),
  issuedAt: fields.required('issuedAt', instant, HINT),
  expiresAt: fields.required('expiresAt', instant, HINT),
})

type Counted = { readonly labels: number; readonly labelledExecuted: number; readonly labelledErrors: number }

const countedOf = (fields: Fields) => ({
  labels: fields.required('labels', count, HINT),
  labelledExecuted: fields.required('labelledExecuted', count, HINT),
  labelledErrors: fields.required('labelledErrors', count, HINT),
})

/** What decides nothing is for people and reports, and must be there nonetheless. */
const reportedOf = (fields: Fields) => ({
  coverage: fields.required('coverage', share, HINT),
  grid: fields.required('grid', group({ size: count, hash: digest }), HINT),
  clusters: fields.required('clusters', nothingOr(count), HINT),
  window: fields.required('window', nothingOr(group({ from: words, to: words })), HINT),
  dataDigest: fields.required('dataDigest', group({ labelled: digest, unlabelled: digest }), HINT),
  made: fields.optional<unknown>('made', entriesOf, null),
  promise: fields.required('promise', words, HINT),
})

/** A mapping of exactly these fields. */
const group =
  <T extends object>(readers: { readonly [K in keyof T]: Reader<T[K]> }): Reader<T> =>
  (source, value) => {
    const names = Object.keys(readers) as (keyof T & string)[]
    const fields = Fields.of(source, value, names)
    if (fields === undefined) return undefined
    const parts = Object.fromEntries(names.map((it) => [it, fields.required(it, readers[it], HINT)]))
    return isWhole(parts) ? (parts as T) : undefined
  }

/** What no certificate that was issued can say. */
function reportDoubts(source: Source, fields: Fields, { risk, upperBound }: Certificate, counted: Counted): void {
  const { labels, labelledExecuted, labelledErrors } = counted
  if (!(labelledErrors <= labelledExecuted && labelledExecuted <= labels)) {
    const said = `${labelledErrors} errors among ${labelledExecuted} of ${labels} labels cannot be`
    source.report(offsetOf(fields, 'labelledExecuted'), said, HINT)
  }
  if (!(upperBound <= risk)) {
    const said = `the upper bound ${upperBound} is above the risk ${risk} it is to prove`
    source.report(offsetOf(fields, 'upperBound'), said, HINT)
  }
}

function reportEdits(source: Source, fields: Fields, id: string, node: YAMLMap): void {
  const { id: _, ...content } = node.toJSON() as Readonly<Record<string, unknown>>
  if (certificateId(content) === id) return
  source.report(
    offsetOf(fields, 'id'),
    `\`${id}\` is not the id of what this certificate says: it was changed after it was issued`,
    'A certificate cannot be edited; certify anew, or take the file as it was.',
  )
}

const offsetOf = (fields: Fields, field: string): number => fields.get(field)?.offset ?? fields.offset

function reportTwins(source: Source, found: readonly PlacedCertificate[]): void {
  const first = new Map<string, number>()
  for (const { certificate, offset } of found) {
    const earlier = first.get(certificate.id)
    if (earlier === undefined) first.set(certificate.id, offset)
    else source.report(offset, 'this certificate is listed twice', `See line ${source.lineOf(earlier)}: keep one.`)
  }
}

/** A certificate in one line, for people. */
export const certificateInWords = ({
  id,
  model,
  action,
  segment,
  risk,
  assurance,
  threshold,
  expiresAt,
}: Certificate) =>
  `${id}: ${action} by ${model.name} version ${model.version}, ${segment === null ? 'all traffic' : `segment ${segment}`}, ` +
  `from ${threshold} at a risk of ${risk} with ${assurance}, lapses ${isoTime(expiresAt)}`
