import type { ModelOutput } from './event.ts'

/** An amount computed for one event, or why it cannot be. */
export type AmountResult =
  | { readonly kind: 'value'; readonly amount: number }
  | { readonly kind: 'failed'; readonly why: string }

/**
 * What is lost by executing what is wrong, by rejecting what is right, and by a person's look, in one unit of the author's
 * choice. `wrongExecution` may depend on the event; it is total and pure.
 */
export type Costs = {
  readonly wrongExecution: (event: ModelOutput) => AmountResult
  /** `wrongExecution` as the author wrote it: an amount, or an expression over the event. */
  readonly written: number | string
  readonly wrongReject: number
  readonly review: number
}

/** The costs of one event. */
export type Amounts = { readonly wrongExecution: number; readonly wrongReject: number; readonly review: number }

/**
 * The bands that cost least, on the probability of being right: executed from `execute` on, rejected up to `reject` where
 * it is not executed.
 */
export type Weighed =
  | { readonly kind: 'free' }
  | { readonly kind: 'weighed'; readonly amounts: Amounts; readonly execute: number; readonly reject: number }
  | { readonly kind: 'failed'; readonly why: string }

const FREE: Weighed = { kind: 'free' }

/** Beyond this, sums and quotients of amounts lose their meaning. */
export const AMOUNT_MAX = 1e15

export function weigh(costs: Costs | null, event: ModelOutput): Weighed {
  if (costs === null) return FREE
  const { wrongReject, review } = costs
  const computed = costs.wrongExecution(event)
  if (computed.kind === 'failed') return computed
  const { amount } = computed
  if (!(amount >= 0 && amount <= AMOUNT_MAX)) {
    return { kind: 'failed', why: `it is ${amount}, and must be between 0 and ${AMOUNT_MAX}` }
  }
  const amounts = { wrongExecution: amount, wrongReject, review }
  return { kind: 'weighed', amounts, ...edgesOf(amounts) }
}

/** On the probability of being right. */
export const edgesOf = (amounts: Amounts): { readonly execute: number; readonly reject: number } => ({
  execute: executeFrom(amounts),
  reject: rejectUpTo(amounts),
})

/**
 * With the probability p of being right, executing costs (1 − p) · wrongExecution on average, rejecting p · wrongReject, a
 * look review (Chow, "On optimum recognition error and reject tradeoff", 1970). Executing is cheapest where it costs
 * neither more than a look nor more than rejecting.
 */
function executeFrom({ wrongExecution, wrongReject, review }: Amounts): number {
  if (wrongExecution === 0) return 0
  return rounded(Math.max(1 - review / wrongExecution, wrongExecution / (wrongExecution + wrongReject)))
}

const rejectUpTo = ({ wrongReject, review }: Amounts): number => rounded(Math.min(1, review / wrongReject))

/** As calibrated scores are, so that one which lies on an edge reaches it in spite of binary fractions. */
const rounded = (share: number): number => Math.round(share * 1e12) / 1e12
