import { isScalar, type Scalar } from 'yaml'
import type { Rule } from '../decision/policy.ts'
import { compileCondition, type Condition } from './condition.ts'
import type { CelSetting } from './cel-environment.ts'
import type { Activation } from './cel-values.ts'
import { choice, Fields, isWhole, text, type Reader, type Value } from './fields.ts'
import { actionFilter, id, type Placed } from './names.ts'
import { scalarOffsets } from './scalar-offsets.ts'
import type { Source } from './source.ts'

/** A rule before it is bound to the values it will be evaluated on. */
export type WrittenRule = Omit<Rule, 'evaluate'> & { readonly condition: Condition }

const RULE_FIELDS = ['id', 'when', 'route', 'code', 'because', 'actions']
const CONDITION_HINT = 'Write a CEL condition, such as `event.attributes.amount > 500.0`.'
const CODE = /^policy\.[a-z][a-z0-9_]*$/u

export const rule =
  (setting: CelSetting, actions: ReadonlySet<string>): Reader<Placed<WrittenRule>> =>
  (source, value) => {
    const fields = Fields.of(source, value, RULE_FIELDS)
    if (fields === undefined) return undefined
    const found = {
      id: fields.required('id', id, 'Give it a short name, such as `trusted-seller`.'),
      when: fields.required('when', conditionText, CONDITION_HINT),
      condition: undefined as Condition | undefined,
      route: fields.required('route', tighterRoute, 'Where events go for which it holds: `review` or `reject`.'),
      code: fields.required('code', policyCode, 'Name the reason, such as `policy.trusted_seller`.'),
      because: fields.required(
        'because',
        text({ max: 500, hint: 'Say why, in a sentence for people.' }),
        'Say why, in a sentence.',
      ),
      actions: fields.optional<ReadonlySet<string> | null>('actions', actionFilter(actions), null),
    }
    const when = fields.get('when')
    const condition =
      found.when === undefined || when === undefined ? undefined : compile(source, setting, when, found.when)
    const parts = { ...found, contexts: condition?.contexts, condition }
    return isWhole(parts) ? { value: parts, offset: fields.get('id')?.offset ?? fields.offset } : undefined
  }

/** A YAML `true` is the one thing that is not a text and still a condition somebody may mean. */
const conditionText: Reader<string> = text({ max: 2_000, hint: CONDITION_HINT })

const tighterRoute: Reader<'review' | 'reject'> = (source, value) =>
  isScalar(value.node) && value.node.value === 'execute'
    ? source.report(
        value.offset,
        'a rule can make a route stricter only, so `execute` would change nothing',
        'Write `review` or `reject`, or lower the `execute` threshold of the action.',
      )
    : choice(['review', 'reject'])(source, value)

const codeText = text({ max: 64, hint: 'Write `policy.` and a name of small letters, digits and `_`.' })

const policyCode: Reader<Rule['code']> = (source, value) => {
  const code = codeText(source, value)
  if (code === undefined) return undefined
  if (isPolicyCode(code)) return code
  return source.report(
    value.offset,
    `\`${code}\` is not a code of the \`policy.\` family`,
    'All other codes are the engine’s own: write `policy.` and a name of small letters, digits and `_`.',
  )
}

const isPolicyCode = (code: string): code is Rule['code'] => CODE.test(code)

function compile(source: Source, setting: CelSetting, { node }: Value, when: string): Condition | undefined {
  const compiled = compileCondition(setting, when)
  if (compiled.kind === 'condition') return compiled
  const offsets = offsetsOf(source, node as Scalar, when)
  for (const { offset, message, hint } of compiled.problems) source.report(offsets[offset] ?? 0, message, hint)
  return undefined
}

const offsetsOf = (source: Source, { type, range }: Scalar, value: string): readonly number[] =>
  scalarOffsets(source.text, range?.[0] ?? 0, type ?? 'PLAIN', value)

/** Rules of one event share what its conditions look at. */
export const bindRule =
  (activate: (scope: Parameters<Rule['evaluate']>[0]) => Activation) =>
  ({ condition, ...rule }: WrittenRule): Rule => ({ ...rule, evaluate: (scope) => condition.evaluate(activate(scope)) })
