import { at } from './column.ts'

const MULTIPLES = [1.5, 2, 3, 5, 10] as const

/**
 * The mean wealth at which a certificate lapses. In the worst world that is still as promised, with a risk just at the bound,
 * it takes at least so many audited outcomes on average until a false alarm, and one among the first T has a chance of at
 * most T over this: 5 % in 500. Where the risk is well below the bound, false alarms are far rarer.
 */
export const ALARM_AT = 10_000

/**
 * Evidence that the risk among executed events is above `risk`, over audited outcomes in order. `anytime`: against a rise at
 * some unknown time (the e-detector of Shin, Ramdas and Rinaldo, arXiv 2203.03532); `from-start`: against a risk that has
 * been too high all along (an e-process).
 */
export type RiskWatch = {
  readonly kind: 'anytime' | 'from-start'
  readonly risk: number
  /** The smallest chance with which any executed event is audited. */
  readonly propensityMin: number
  readonly wealth: readonly number[]
  readonly outcomes: number
}

export const newRiskWatch = (kind: RiskWatch['kind'], risk: number, propensityMin = 1): RiskWatch => ({
  kind,
  risk,
  propensityMin,
  wealth: MULTIPLES.map(() => (kind === 'anytime' ? 0 : 1)),
  outcomes: 0,
})

/** An outcome that had a greater chance of being audited stands for fewer others, and is staked less on. */
export function addOutcome(watch: RiskWatch, right: 0 | 1, propensity = 1): RiskWatch {
  const { kind, risk, propensityMin } = watch
  const weight = propensityMin / propensity
  const entry = kind === 'anytime' ? 1 : 0
  const wealth = watch.wealth.map((held, index) => {
    const stake = stakeOf(risk, at(MULTIPLES, index))
    const grown = (held + entry) * (1 + (stake / risk) * weight * (1 - right - risk))
    return Math.min(Number.MAX_VALUE, grown)
  })
  return { ...watch, wealth, outcomes: watch.outcomes + 1 }
}

/** The stake that grows fastest when the risk is `multiple` of the bound; never so much that one outcome could ruin it. */
const stakeOf = (risk: number, multiple: number): number => (Math.min(multiple * risk, 0.9) - risk) / (1 - risk)

/** The mean over all stakes; `ALARM_AT` is where it must not get. */
export const evidenceOf = ({ wealth }: RiskWatch): number => wealth.reduce((sum, it) => sum + it / wealth.length, 0)
