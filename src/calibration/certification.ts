import type { Budget } from '../decision/certificate.ts'
import type { Refusal } from './refusal.ts'

/** At most `risk` errors, in a promise that may fail with a chance of at most `delta`; both between 0 and 1. */
export type Demand = { readonly risk: number; readonly delta: number; readonly budget: Budget }

/** 1 − 0.95 is 0.050000000000000044: what people write must decide, not how it is stored. */
export const deltaOf = (assurance: number): number => Number((1 - assurance).toPrecision(12))

/** One threshold and what the labels say about executing from it upwards. */
export type Tested = {
  readonly threshold: number
  readonly executed: number
  readonly errors: number
  /** The chance of so few errors if the risk were just above the bound. */
  readonly pValue: number
  /** What the p-value was held against; 0: it was not this threshold's turn. */
  readonly level: number
  readonly certified: boolean
}

export type Certification = {
  /** Execute at this score and above; null: nothing is certified. In full double precision. */
  readonly threshold: number | null
  /** Labelled rows, and those at or above the threshold, and the errors among those; 0 without a threshold. */
  readonly labels: number
  readonly labelledExecuted: number
  readonly labelledErrors: number
  /** Clopper and Pearson's bound for this threshold alone. */
  readonly upperBound: number | null
  /** The share of unlabelled scores at or above the threshold. */
  readonly coverage: number
  readonly grid: { readonly size: number; readonly hash: string }
  readonly tests: readonly Tested[]
  readonly refusal: Refusal | null
}
