import { ParseError, TypeError as CelTypeError, type ASTNode, type Environment } from '@marcbachmann/cel-js'
import { walk, VARIABLES, written, type ConditionProblem } from './condition-syntax.ts'
import type { CelSetting } from './cel-environment.ts'
import { lowerFirst, sentence, suggestion } from './nearest.ts'

/** A type's field names, for suggestions. */
export type FieldNames = ReadonlyMap<string, readonly string[]>

/** The type of a part of a condition, null where it has none of its own. */
const typeOf = (environment: Environment, node: ASTNode): string | null => environment.check(written(node)).type ?? null

/** What the type checker says, and what it lets pass though it can never hold. */
export function typeProblems(
  environment: Environment,
  root: ASTNode,
  type: string | undefined,
  fields: FieldNames,
): readonly ConditionProblem[] {
  const problems = partProblems(environment, root, fields)
  return problems.length === 0 && type !== 'bool' ? [notTruth(root, type ?? 'dyn')] : problems
}

/** The same for an expression that is to give a number; what may be one is found out when it is evaluated. */
export function numberProblems(
  environment: Environment,
  root: ASTNode,
  type: string | undefined,
  fields: FieldNames,
): readonly ConditionProblem[] {
  const problems = partProblems(environment, root, fields)
  const isNumber = type === undefined || ['int', 'double', 'dyn', 'dyn<double>'].includes(type)
  if (problems.length > 0 || isNumber) return problems
  const hint = 'Write what gives an amount, such as `event.attributes.amount`.'
  return [{ offset: root.start, message: `this is of type ${plainType(type)}, not a number`, hint }]
}

function partProblems(environment: Environment, root: ASTNode, fields: FieldNames): readonly ConditionProblem[] {
  const problems: ConditionProblem[] = []
  walk(root, (node) => {
    if (node.op === 'call' && node.args[0] === 'has') problems.push(...hasProblems(environment, node.args[1], fields))
    if (node.op === '==' || node.op === '!=') problems.push(...equalityProblems(environment, node.start, node.args))
    if (isArithmetic(node)) problems.push(...arithmeticProblems(environment, node.start, node.op, node.args))
  })
  return problems
}

function notTruth(root: ASTNode, type: string): ConditionProblem {
  const message =
    type === 'dyn'
      ? 'the condition may be anything, not only true or false'
      : `the condition is of type ${plainType(type)}, not true or false`
  const example = type === 'dyn' ? `${written(root)} == true` : `${written(root)} == ...`
  return { offset: root.start, message, hint: `Compare it with something: \`${example}\`.` }
}

function hasProblems(
  environment: Environment,
  args: readonly ASTNode[],
  fields: FieldNames,
): readonly ConditionProblem[] {
  const [field] = args
  if (field === undefined) return []
  const { error } = environment.check(written(field))
  return error instanceof CelTypeError ? [{ ...typeProblem(environment, error, fields), offset: field.start }] : []
}

type Operands = readonly [ASTNode, ASTNode]
type Arithmetic = Extract<ASTNode, { op: '+' | '-' | '*' | '/' | '%' }>
const isArithmetic = (node: ASTNode): node is Arithmetic => ['+', '-', '*', '/', '%'].includes(node.op)

/** `dyn<T>` is a T or null; the checker lets it be compared with anything, which would silently never be equal. */
function equalityProblems(environment: Environment, offset: number, operands: Operands): readonly ConditionProblem[] {
  const types = operands.map((operand) => typeOf(environment, operand))
  for (const [mine, other] of [types, types.toReversed()]) {
    const inner = /^dyn<(.+)>$/u.exec(mine ?? '')?.[1]
    if (inner === undefined || other === null || other === undefined) continue
    if ([inner, 'null', 'dyn', `dyn<${inner}>`].includes(other) || (inner === 'double' && other === 'int')) continue
    const message = `a value of type ${plainType(inner)} never equals one of type ${plainType(other)}`
    return [{ offset, message, hint: 'Compare values of the same type.' }]
  }
  return []
}

function arithmeticProblems(
  environment: Environment,
  offset: number,
  op: string,
  operands: Operands,
): readonly ConditionProblem[] {
  const types = operands.map((operand) => typeOf(environment, operand))
  if (!(types.includes('int') && types.includes('dyn'))) return []
  const message = `\`${op}\` cannot join an attribute, whose numbers are doubles, with a whole number`
  return [{ offset, message, hint: 'Write the number with a point, as in `2.0`.' }]
}

/** An error of the parser or of the type checker in our words. */
export function celProblem({ environment, fields }: CelSetting, text: string, error: unknown): ConditionProblem {
  if (error instanceof ParseError) return parseProblem(text, error)
  if (error instanceof CelTypeError) return typeProblem(environment, error, fields)
  return { offset: 0, message: 'the condition cannot be read', hint: 'Write it simpler.' }
}

/** What people write who know another language, and what it is in CEL. */
const FOREIGN: ReadonlyMap<string, string> = new Map([
  ['=', '=='],
  ['and', '&&'],
  ['AND', '&&'],
  ['or', '||'],
  ['OR', '||'],
  ['not', '!'],
  ['&', '&&'],
  ['|', '||'],
])

function parseProblem(text: string, { code, summary, range }: ParseError): ConditionProblem {
  const offset = range?.start ?? 0
  if (code === 'limit_exceeded')
    return { offset, message: 'the condition is too large', hint: 'Split it into several rules.' }
  if (code === 'invalid_macro_argument')
    return { offset, message: 'the name of a variable is missing here', hint: 'Write `["a", "b"].exists(x, ...)`.' }
  if (code === 'newline_in_string' || code.startsWith('unterminated'))
    return { offset, message: 'a text is not closed', hint: 'End it with the quote it starts with.' }
  if (text.slice(offset).trim() === '')
    return { offset: text.trimEnd().length, message: 'the condition ends too early', hint: 'Write what is missing.' }
  const word = /^(?:\w+|[=&|]+|.)/su.exec(text.slice(offset))?.[0] ?? ''
  const meant = FOREIGN.get(word)
  if (meant !== undefined) return { offset, message: `\`${word}\` is not CEL`, hint: `Write \`${meant}\`.` }
  const detail = code.startsWith('unexpected') ? `\`${word}\` is not expected here` : lowerFirst(summary)
  return { offset, message: `the condition is not valid CEL: ${detail}`, hint: CEL_HINT }
}

const CEL_HINT = 'Conditions are CEL: `==`, `&&`, `||`, `!`, `in`, texts in double quotes.'

function typeProblem(environment: Environment, error: CelTypeError, fields: FieldNames): ConditionProblem {
  const offset = error.range?.start ?? 0
  const { code, summary } = error
  if (code === 'no_such_key') return noSuchField(environment, offset, error, fields)
  if (code === 'unknown_variable') {
    const name = summary.split(': ').at(-1) ?? ''
    return { offset, message: `\`${name}\` is not known here`, hint: sentence(suggestion(name, VARIABLES)) }
  }
  return { offset, message: plainType(lowerFirst(summary)), hint: operandHint(code, summary) }
}

const summaryKey = /^No such key: (.*)$/su

function noSuchField(
  environment: Environment,
  offset: number,
  { node, summary }: CelTypeError,
  fields: FieldNames,
): ConditionProblem {
  const [owner, key] = node?.op === '.' || node?.op === '[]' ? node.args : []
  const name = typeof key === 'string' ? key : (summaryKey.exec(summary)?.[1] ?? '')
  const known = owner === undefined ? [] : (fields.get(typeOf(environment, owner) ?? '') ?? [])
  const message = `\`${owner === undefined ? '' : written(owner)}\` has no \`${name}\``
  return { offset, message, hint: sentence(suggestion(name, known)) }
}

function operandHint(code: string, summary: string): string {
  if (code === 'no_such_overload' && /\bint\b/u.test(summary) && /\bdouble\b/u.test(summary))
    return 'Numbers of the event and of facts are doubles: write `4.0` instead of `4`.'
  if (code === 'no_such_overload' && summary.includes('null')) return 'That value is never null.'
  if (code === 'invalid_logical_operand')
    return 'Each side of `&&` and `||` must be true or false: compare it with something.'
  if (code === 'invalid_macro_argument') return 'Write `has(event.attributes.name)`.'
  return 'Compare values of the same type.'
}

/** CEL's types as authors know them: `dyn<T>` is how we declare a T that may be null. */
export const plainType = (text: string): string =>
  text.replaceAll(/dyn<([^<>]+)>/gu, '$1').replaceAll('google.protobuf.', '')
