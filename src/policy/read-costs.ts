import { isScalar } from 'yaml'
import { AMOUNT_MAX, type Costs } from '../decision/costs.ts'
import { costSetting } from './cel-environment.ts'
import { activations } from './condition.ts'
import { compileAmount, type Amount } from './amount.ts'
import { Fields, isWhole, number, text, type Reader } from './fields.ts'
import { scalarOffsets } from './scalar-offsets.ts'

const HINT = 'Write an amount such as `200`, in the same unit as the other costs.'

const amount = number({ holds: (value) => value >= 0 && value <= AMOUNT_MAX, hint: HINT })
const amountAboveZero = number({ holds: (value) => value > 0 && value <= AMOUNT_MAX, hint: HINT })

/** What mistakes and looks cost. */
export const costs: Reader<Costs> = (source, value) => {
  const fields = Fields.of(source, value, ['wrongExecution', 'wrongReject', 'review'])
  if (fields === undefined) return undefined
  const parts = {
    loss: fields.required('wrongExecution', lossOfExecution, `What executing a wrong one costs. ${HINT}`),
    wrongReject: fields.required('wrongReject', amountAboveZero, `What rejecting a right one costs. ${HINT}`),
    review: fields.required('review', amount, `What a person's look costs. ${HINT}`),
  }
  return isWhole(parts) ? { ...parts.loss, wrongReject: parts.wrongReject, review: parts.review } : undefined
}

/** A number, or a CEL expression over the event. */
const lossOfExecution: Reader<Pick<Costs, 'wrongExecution' | 'written'>> = (source, value) => {
  if (!isScalar(value.node) || typeof value.node.value !== 'string') {
    const constant = amount(source, value)
    if (constant === undefined) return undefined
    return { written: constant, wrongExecution: () => ({ kind: 'value', amount: constant }) }
  }
  const written = expression(source, value)
  if (written === undefined) return undefined
  const compiled = compileAmount(SETTING, written)
  if (compiled.kind === 'amount') return { written, wrongExecution: overEvent(compiled) }
  const { type, range } = value.node
  const offsets = scalarOffsets(source.text, range?.[0] ?? 0, type ?? 'PLAIN', written)
  for (const { offset, message, hint } of compiled.problems) source.report(offsets[offset] ?? 0, message, hint)
  return undefined
}

const expression = text({ max: 2_000, hint: 'Write a number, or CEL such as `event.attributes.amount * 1.5`.' })

const SETTING = costSetting()
const activate = activations(new Map())
const NOTHING = new Map<string, never>()

/** Costs see the event alone, so that they can be shown and compared without the facts of a decision. */
const overEvent =
  ({ evaluate }: Amount): Costs['wrongExecution'] =>
  (event) =>
    evaluate(activate({ event, context: NOTHING, counters: NOTHING, now: Number.NaN }))
