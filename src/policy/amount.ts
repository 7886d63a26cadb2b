import type { ParseResult } from '@marcbachmann/cel-js'
import type { AmountResult } from '../decision/costs.ts'
import type { CelSetting } from './cel-environment.ts'
import type { Activation } from './cel-values.ts'
import { parseCondition, reasonOf } from './condition.ts'
import { syntaxProblems, type ConditionProblem } from './condition-syntax.ts'
import { celProblem, numberProblems } from './condition-types.ts'

/** A CEL expression that gives a number, ready to be evaluated. */
export type Amount = { readonly kind: 'amount'; readonly evaluate: (activation: Activation) => AmountResult }

/** Parses, restricts and type-checks an expression. Never throws. */
export function compileAmount(
  setting: CelSetting,
  text: string,
): Amount | { readonly kind: 'problems'; readonly problems: readonly ConditionProblem[] } {
  const parsed = parseCondition(setting, text)
  if ('problem' in parsed) return { kind: 'problems', problems: [parsed.problem] }
  const { program } = parsed
  const forbidden = syntaxProblems(program.ast)
  if (forbidden.length > 0) return { kind: 'problems', problems: forbidden }
  const { valid, type, error } = program.check()
  if (!valid) return { kind: 'problems', problems: [celProblem(setting, text, error)] }
  const problems = numberProblems(setting.environment, program.ast, type, setting.fields)
  if (problems.length > 0) return { kind: 'problems', problems }
  return { kind: 'amount', evaluate: (activation) => evaluate(program, activation) }
}

function evaluate(program: ParseResult, activation: Activation): AmountResult {
  try {
    const value: unknown = program(activation)
    if (typeof value === 'number') return { kind: 'value', amount: value }
    if (typeof value === 'bigint') return { kind: 'value', amount: Number(value) }
    return { kind: 'failed', why: 'it is no number' }
  } catch (error) {
    return { kind: 'failed', why: reasonOf(error) }
  }
}
