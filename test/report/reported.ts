import { certifySegments, type LabelledRows } from '../../src/calibration/certify-segments.ts'
import { promiseOf } from '../../src/calibration/promise.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { rowsAt } from '../../src/calibration/sample.ts'
import type { Observed, ObservedVerdict } from '../../src/report/audit.ts'
import type { Certified, ReportInput } from '../../src/report/report.ts'
import { rowsOf } from '../calibration/series.ts'

const rows = rowsOf('llm-mcqa.csv').filter(({ model }) => model === 'gpt-3.5-turbo')
const sample = {
  scores: Float64Array.from(rows, ({ score }) => Number(score)),
  right: Uint8Array.from(rows, ({ label }) => Number(label)),
}

function half(from: 0 | 1, withSegments: boolean): LabelledRows {
  const places = Uint32Array.from(rows.keys()).filter((row) => row % 2 === from)
  const segments = withSegments ? Array.from(places, (row) => rows[row]?.['segment'] ?? '') : null
  return { sample: rowsAt(sample, places), segments, clusters: null }
}

/** What `sluice certify` writes for every other row of a language model's answers at 10 %, and those rows. */
export function certifiedInput(of: { readonly segment?: string; readonly withSegments?: boolean } = {}): ReportInput {
  const { segment = null, withSegments = segment !== null } = of
  const [labelled, others] = [half(0, withSegments), half(1, withSegments)]
  const unlabelled = { scores: others.sample.scores, segments: others.segments }
  const demand = { risk: 0.1, delta: 0.05, budget: 'per-execution' as const }
  const found = certifySegments(labelled, unlabelled, { ...demand, jointly: false }, seededRandom(1))
  const part = segment === null ? found.whole : found.segments.find((it) => it.segment === segment)
  if (part === undefined || part.threshold === null || part.upperBound === null) throw new Error('it is not certified')
  const { threshold, labels, labelledExecuted, labelledErrors, upperBound, coverage, grid } = part
  const certificate: Certified = {
    id: '0123456789abcdef0123456789abcdef',
    model: { name: 'gpt-3.5-turbo', version: '0125 <script>' },
    action: 'listing.flag',
    scoreKind: 'probability',
    segment,
    budget: demand.budget,
    risk: demand.risk,
    assurance: 0.95,
    threshold,
    labels,
    labelledExecuted,
    labelledErrors,
    upperBound,
    coverage,
    grid,
    clusters: null,
    window: { from: '2026-03-01', to: '2026-05-01' },
    dataDigest: { labelled: 'a'.repeat(32), unlabelled: 'b'.repeat(32) },
    issuedAt: '2026-05-02T00:00:00.000Z',
    expiresAt: '2026-07-31T00:00:00.000Z',
    promise: promiseOf(part, segment, demand) ?? '',
  }
  const read = { rows: rows.length / 2 + 3, withoutScore: 3 }
  return {
    certificate,
    labelled: { data: labelled, ...read },
    unlabelled: { data: unlabelled, ...read, spanMs: 86_400_000 },
    jointly: false,
    seed: 1,
    costs: null,
    previousThreshold: null,
    observed: null,
  }
}

/** A month of verdicts, of whose executed ones a tenth, a half or all are audited; at last a third of them is wrong. */
export function monthOfVerdicts(): Observed {
  const random = seededRandom(7)
  const verdicts = Array.from({ length: 6_000 }, (_, index): ObservedVerdict => {
    const luck = random()
    const route = luck < 0.33 ? 'execute' : luck < 0.95 ? 'review' : 'reject'
    const propensity = [0.1, 0.5, 1][Math.floor(3 * random())] ?? 1
    if (route !== 'execute' || random() >= propensity)
      return { route, code: route === 'review' ? 'confidence.below_execute' : '', propensity: null, right: null }
    const right = random() < (index < 4_500 ? 0.07 : 0.33) ? 0 : 1
    return { route, code: 'confidence.sufficient', propensity, right: random() < 0.05 ? null : right }
  })
  return { verdicts, spanMs: 30 * 86_400_000 }
}

/** With everything that a report can show. */
export const fullInput = (): ReportInput => ({
  ...certifiedInput({ withSegments: true }),
  costs: { wrongExecution: 20, review: 4 },
  previousThreshold: 0.9,
  observed: monthOfVerdicts(),
})
