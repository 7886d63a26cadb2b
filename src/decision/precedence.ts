import { CODES } from './codes.ts'
import type { FindingCode } from './codes.ts'
import { strictness } from './route.ts'
import type { Route } from './route.ts'
import type { Finding } from './verdict.ts'

const familyOf = (code: string): string => code.slice(0, code.indexOf('.'))

const FAMILIES = [...new Set(Object.keys(CODES).map(familyOf))]
const RANKS: ReadonlyMap<string, number> = new Map(
  Object.keys(CODES).map((code) => [code, FAMILIES.indexOf(familyOf(code))]),
)
const RULES_RANK = FAMILIES.indexOf('rule')

/** A policy author's own codes rank where rules do. */
const rankOf = (code: FindingCode): number => RANKS.get(code) ?? RULES_RANK

/** The strictest first, among equals by family, within a family in the order they were found. */
export const inOrder = (findings: readonly Finding[]): readonly Finding[] =>
  findings.length < 2
    ? findings
    : findings.toSorted((a, b) => strictness(b.route) - strictness(a.route) || rankOf(a.code) - rankOf(b.code))

export function strictest(findings: readonly Finding[]): Route {
  let route: Route = 'execute'
  for (const it of findings) if (strictness(it.route) > strictness(route)) ({ route } = it)
  return route
}
