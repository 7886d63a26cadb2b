import { serialize, type ASTNode } from '@marcbachmann/cel-js'
import { sentence, suggestion } from './nearest.ts'

/** What is wrong in a condition; `offset` counts characters from its start. */
export type ConditionProblem = { readonly offset: number; readonly message: string; readonly hint: string }

function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    default:
      return node.args
  }
}

export const walk = (node: ASTNode, visit: (node: ASTNode) => void): void => {
  visit(node)
  for (const child of childrenOf(node)) walk(child, visit)
}

const FUNCTIONS = new Set(['has', 'size', 'int', 'double', 'string', 'timestamp', 'duration'])
const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one'])
const METHODS = new Set(
  [
    'all exists exists_one startsWith endsWith contains size',
    'getFullYear getMonth getDate getDayOfMonth getDayOfWeek getHours getMinutes getSeconds getMilliseconds',
  ].flatMap((names) => names.split(' ')),
)

/** The variables of every condition, which an iteration must not hide. */
export const VARIABLES = ['event', 'context', 'counters', 'now'] as const

/**
 * What conditions may not do, so that each is cheap, depends on nothing but its event and facts, and means the same in
 * every implementation of CEL: a closed list of functions, iteration over written lists only and never nested.
 */
export function syntaxProblems(root: ASTNode): readonly ConditionProblem[] {
  const problems: ConditionProblem[] = []
  walk(root, (node) => {
    if (node.op === 'call') problems.push(...callProblems(node.start, node.args[0], node.args[1]))
    if (node.op === 'rcall') problems.push(...methodProblems(node.start, node.args[0], node.args[1], node.args[2]))
    if (node.op === 'map') problems.push(notUsed(node.start, 'a map literal'))
    problems.push(...accessProblems(node))
  })
  return problems
}

const notUsed = (offset: number, what: string): ConditionProblem => ({
  offset,
  message: `${what} cannot be used in a condition`,
  hint: 'Compare fields of the event, context and counters with values or written lists.',
})

function callProblems(offset: number, name: string, args: readonly ASTNode[]): readonly ConditionProblem[] {
  if (!FUNCTIONS.has(name)) return [unknownFunction(offset, name, FUNCTIONS)]
  return name === 'timestamp' || name === 'duration' ? literalProblems(offset, name, args) : []
}

function methodProblems(
  offset: number,
  name: string,
  receiver: ASTNode,
  args: readonly ASTNode[],
): readonly ConditionProblem[] {
  if (!METHODS.has(name)) return [unknownFunction(offset, name, METHODS)]
  if (COMPREHENSIONS.has(name)) return comprehensionProblems(offset, name, receiver, args)
  if (name.startsWith('get') && args.length > 0)
    return [
      { offset, message: `\`${name}\` takes no time zone`, hint: 'Write the hours in UTC, which has no changes.' },
    ]
  return []
}

const REPLACEMENTS: ReadonlyMap<string, string> = new Map([
  ['matches', 'Use `startsWith`, `endsWith`, `contains` or `in [...]`: regular expressions can take exponential time.'],
  ['filter', 'Use `exists` or `all`.'],
  ['map', 'Use `exists` or `all`.'],
  ['bind', 'Write the value where it is needed.'],
])

function unknownFunction(offset: number, name: string, known: ReadonlySet<string>): ConditionProblem {
  const replacement = REPLACEMENTS.get(name)
  const hint = replacement ?? sentence(suggestion(name, known))
  return { offset, message: `the function \`${name}\` cannot be used in a condition`, hint }
}

function comprehensionProblems(
  offset: number,
  name: string,
  receiver: ASTNode,
  args: readonly ASTNode[],
): readonly ConditionProblem[] {
  const written = `Write \`["a", "b"].${name}(x, ...)\`.`
  if (receiver.op !== 'list') return [{ offset, message: `\`${name}\` works on written lists only`, hint: written }]
  const [variable] = args
  if (args.length !== 2 || variable?.op !== 'id')
    return [{ offset, message: `\`${name}\` needs a variable and a condition`, hint: written }]
  if (VARIABLES.some((known) => known === variable.args))
    return [
      { offset: variable.start, message: `\`${variable.args}\` already has a meaning`, hint: 'Choose another name.' },
    ]
  return args.some(hasComprehension) || hasComprehension(receiver)
    ? [{ offset, message: `\`${name}\` cannot be nested`, hint: 'Split the rule in two.' }]
    : []
}

function hasComprehension(root: ASTNode): boolean {
  let found = false
  walk(root, (node) => {
    if (node.op === 'rcall' && COMPREHENSIONS.has(node.args[0])) found = true
  })
  return found
}

/** A part of what CEL allows, which every implementation reads alike. */
const CEL_DURATION = /^(?:\d{1,9}(?:h|ms|m|s))+$/u

/** RFC 3339 with a zone, so that it never depends on where Sluice runs. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/u

function literalProblems(
  offset: number,
  name: 'timestamp' | 'duration',
  args: readonly ASTNode[],
): readonly ConditionProblem[] {
  const [written] = args
  const text = written?.op === 'value' && typeof written.args === 'string' ? written.args : null
  if (name === 'duration') return text !== null && CEL_DURATION.test(text) ? [] : [DURATION(offset)]
  return text !== null && RFC_3339.test(text) && !Number.isNaN(Date.parse(text)) ? [] : [TIMESTAMP(offset)]
}

const DURATION = (offset: number): ConditionProblem => ({
  offset,
  message: '`duration` needs a written duration',
  hint: 'Write `duration("90s")`, `duration("5m")` or `duration("36h")`.',
})
const TIMESTAMP = (offset: number): ConditionProblem => ({
  offset,
  message: '`timestamp` needs a written time',
  hint: 'Write `timestamp("2026-12-24T18:00:00Z")`.',
})

/** A context or counter must be named in the text, so that it is known beforehand what the condition needs. */
function accessProblems(node: ASTNode): readonly ConditionProblem[] {
  return childrenOf(node)
    .filter((child) => isStore(child) && storeKey(node, child) === null)
    .map((child) => {
      const name = child.op === 'id' ? child.args : ''
      const example = name === 'counters' ? 'counters["limit-id"]' : `${name}.name`
      return { offset: child.start, message: `\`${name}\` cannot be used as a whole`, hint: `Write \`${example}\`.` }
    })
}

/** What is read by a written name only. */
const STORES = ['event', 'context', 'counters'] as const
const isStore = (node: ASTNode): boolean => node.op === 'id' && (STORES as readonly string[]).includes(node.args)

function storeKey(parent: ASTNode, child: ASTNode): string | null {
  if (parent.op === '.' && parent.args[0] === child) return parent.args[1]
  if (parent.op !== '[]' || parent.args[0] !== child) return null
  const [, key] = parent.args
  return key.op === 'value' && typeof key.args === 'string' ? key.args : null
}

/** The names under which a condition reads `context` or `counters`, each once. */
export function namesRead(root: ASTNode, store: 'context' | 'counters'): readonly string[] {
  const names = new Set<string>()
  walk(root, (node) => {
    for (const child of childrenOf(node)) {
      const key = child.op === 'id' && child.args === store ? storeKey(node, child) : null
      if (key !== null) names.add(key)
    }
  })
  return [...names]
}

export const written = (node: ASTNode): string => serialize(node)
