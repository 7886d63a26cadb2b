import { hash } from 'node:crypto'
import type { CountingRules, Missing, Report } from './execution.ts'
import { labelAt, rightOf } from './label.ts'

/** A decided event whose score alone decided, or would have if a certificate were in force. Times in milliseconds since 1970. */
export type DecidedEvent = {
  readonly actionKey: string
  readonly decidedAt: number
  /** What was executed is labelled where it was picked for audit; what a person looked at is labelled in any case. */
  readonly route: 'execute' | 'review'
  readonly selected: boolean
  /** The chance with which it was to be labelled. */
  readonly propensity: number
  readonly score: number
  readonly segment: string | null
  readonly cluster: string | null
}

/** A labelled event that stands for as many others as each of the rest does. */
export type SampledEvent = { readonly event: DecidedEvent; readonly right: 0 | 1 }

/** How a sample came about, in numbers of events. */
export type SampleCounts = {
  readonly executed: number
  readonly audited: number
  readonly reviewed: number
  /** The chance with which every event of the window came into the sample. */
  readonly share: number
  /** Not of full age, so left out whether they have a label or not. */
  readonly immature: number
  /** Of those in the sample: without a label at full age, and what that was taken to mean. */
  readonly missing: number
  readonly rule: Missing
  /** Not done, so left out. */
  readonly failed: number
  readonly repeated: number
  readonly contradicting: number
}

/**
 * A sample in which every event had the same chance to be: those with a greater chance of being labelled are thinned to the
 * smallest, by a hash of the action key, so that counts stay whole and exact binomial tests hold. A label counts only where
 * its event was to be labelled by chance or in any case: others are known because of what somebody expected of them.
 * `until`: events are of full age when that much younger than this.
 */
export function sampleOf(
  events: readonly DecidedEvent[],
  reports: ReadonlyMap<string, readonly Report[]>,
  rules: CountingRules,
  until: number,
): { readonly rows: readonly SampledEvent[]; readonly counts: SampleCounts } {
  const mature = events.filter(({ decidedAt }) => decidedAt + rules.maturityMs <= until)
  const share = mature.reduce((least, { propensity }) => Math.min(least, propensity), 1)
  const chosen = mature.filter((it) => it.selected && thinningDraw(it.actionKey) < share / it.propensity)
  const found = chosen.map((event) => ({
    event,
    ...labelAt(reports.get(event.actionKey) ?? [], event.decidedAt + rules.maturityMs),
  }))
  const rows = found.flatMap(({ event, ...label }) => {
    const right = rightOf(label, rules.missing)
    return right === null ? [] : [{ event, right }]
  })
  const count = (holds: (it: (typeof found)[number]) => boolean): number => found.filter(holds).length
  const executed = mature.filter(({ route }) => route === 'execute')
  return {
    rows,
    counts: {
      executed: executed.length,
      audited: executed.filter(({ selected }) => selected).length,
      reviewed: mature.length - executed.length,
      share,
      immature: events.length - mature.length,
      missing: count(({ label }) => label === 'missing'),
      rule: rules.missing,
      failed: count(({ label }) => label === 'failed'),
      repeated: found.reduce((sum, it) => sum + it.repeated, 0),
      contradicting: found.reduce((sum, it) => sum + it.contradicting, 0),
    },
  }
}

/** Evenly spread over 0 to 1, and independent of the draw for the audit, whose hash begins with the policy's salt. */
const thinningDraw = (actionKey: string): number =>
  Number.parseInt(hash('sha256', `thinning ${actionKey}`, 'hex').slice(0, 13), 16) / 2 ** 52
