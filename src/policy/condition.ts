import { EvaluationError, type ParseResult } from '@marcbachmann/cel-js'
import type { RuleResult, RuleScope } from '../decision/policy.ts'
import type { CelSetting } from './cel-environment.ts'
import { Activation } from './cel-values.ts'
import { lowerFirst } from './nearest.ts'
import { namesRead, syntaxProblems, type ConditionProblem } from './condition-syntax.ts'
import { celProblem, plainType, typeProblems } from './condition-types.ts'

/** A condition ready to be evaluated, with the names of the contexts and counters it reads. */
export type Condition = {
  readonly kind: 'condition'
  readonly contexts: readonly string[]
  readonly counters: readonly string[]
  readonly evaluate: (activation: Activation) => RuleResult
}

export type Compiled = Condition | { readonly kind: 'problems'; readonly problems: readonly ConditionProblem[] }

/** Parses, restricts and type-checks a condition. Never throws. */
export function compileCondition(setting: CelSetting, text: string): Compiled {
  const { environment, fields } = setting
  const parsed = parseCondition(setting, text)
  if ('problem' in parsed) return { kind: 'problems', problems: [parsed.problem] }
  const { program } = parsed
  const forbidden = syntaxProblems(program.ast)
  if (forbidden.length > 0) return { kind: 'problems', problems: forbidden }
  const { valid, type, error } = program.check()
  if (!valid) return { kind: 'problems', problems: [celProblem(setting, text, error)] }
  const problems = typeProblems(environment, program.ast, type, fields)
  if (problems.length > 0) return { kind: 'problems', problems }
  const contexts = namesRead(program.ast, 'context')
  const counters = namesRead(program.ast, 'counters')
  return { kind: 'condition', contexts, counters, evaluate: (activation) => evaluate(program, activation) }
}

export function parseCondition(
  setting: CelSetting,
  text: string,
): { readonly program: ParseResult } | { readonly problem: ConditionProblem } {
  try {
    return { program: setting.environment.parse(text) }
  } catch (error) {
    return { problem: celProblem(setting, text, error) }
  }
}

const HOLDS: RuleResult = { kind: 'value', holds: true }
const HOLDS_NOT: RuleResult = { kind: 'value', holds: false }

function evaluate(program: ParseResult, activation: Activation): RuleResult {
  try {
    const value: unknown = program(activation)
    if (typeof value === 'boolean') return value ? HOLDS : HOLDS_NOT
    return { kind: 'failed', why: 'the condition is neither true nor false' }
  } catch (error) {
    return { kind: 'failed', why: reasonOf(error) }
  }
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof EvaluationError)) return error instanceof Error ? error.message : 'it cannot be evaluated'
  if (error.code === 'unsupported_type') return 'a number is not finite, or a time is out of range'
  if (error.code === 'no_such_key') return `there is no \`${error.summary.replace('No such key: ', '')}\``
  return plainType(lowerFirst(error.summary))
}

/** One activation for all, since conditions are evaluated one after the other, those of one event in a row. */
export function activations(makers: CelSetting['makers']): (scope: RuleScope) => Activation {
  const activation = new Activation(makers)
  return (scope) => activation.over(scope)
}
