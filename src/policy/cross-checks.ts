import type { WrittenPolicy } from './written-policy.ts'
import type { Source } from './source.ts'

/** What is wrong between parts of a policy that are fine by themselves. */
export function crossProblems(source: Source, written: WrittenPolicy): void {
  reportRepeatedIds(source, written)
  reportStateless(source, written)
  reportNarrowerReads(source, written)
}

/** Operators exempt a rule or a limit by its id, so one id must not mean both. */
function reportRepeatedIds(source: Source, { limits, rules }: WrittenPolicy): void {
  const first = new Map<string, number>()
  for (const { value, offset } of [...limits, ...rules].toSorted((a, b) => a.offset - b.offset)) {
    const earlier = first.get(value.id)
    if (earlier === undefined) first.set(value.id, offset)
    else
      source.report(
        offset,
        `the id \`${value.id}\` is used twice`,
        `Line ${source.lineOf(earlier)} has it too: choose another.`,
      )
  }
}

const covers = (actions: ReadonlySet<string> | null, action: string): boolean => actions === null || actions.has(action)

/** Without state there are no counters and no context, so what needs them cannot be promised for a stateless action. */
function reportStateless(source: Source, { actions, limits, context }: WrittenPolicy): void {
  const needs = [
    ...limits.map(({ value, offset }) => ({ what: `the limit \`${value.id}\``, actions: value.actions, offset })),
    ...context.map(({ value, offset }) => ({
      what: `the context \`${value.need.name}\``,
      actions: value.need.actions,
      offset,
    })),
  ]
  const stateless = [...actions.rules.values()].filter((rule) => rule.stateless)
  for (const { what, actions, offset } of needs)
    for (const { action } of stateless.filter((rule) => covers(actions, rule.action)))
      source.report(
        offset,
        `${what} covers \`${action}\`, which is \`stateless\``,
        `Name the other actions with \`actions: [...]\` here, or remove \`stateless\` from \`${action}\`.`,
      )
}

/** A rule must not cover an action for which what it reads is never fetched: there it could not be evaluated. */
function reportNarrowerReads(source: Source, { actions, limits, context, rules }: WrittenPolicy): void {
  for (const { value: rule, offset } of rules) {
    const read = [
      ...limits
        .filter(({ value }) => rule.condition.counters.includes(value.id))
        .map(({ value }) => scopeOf(value.id, value.actions)),
      ...context
        .filter(({ value }) => rule.contexts.includes(value.need.name))
        .map(({ value }) => scopeOf(value.need.name, value.need.actions)),
    ]
    for (const scope of read) {
      const outside = [...actions.names].find(
        (action) => covers(rule.actions, action) && !covers(scope.actions, action),
      )
      if (outside === undefined) continue
      const hint = `Add \`actions: [${[...(scope.actions ?? [])].join(', ')}]\` to the rule, or widen \`${scope.name}\`.`
      source.report(
        offset,
        `the rule \`${rule.id}\` covers \`${outside}\`, for which \`${scope.name}\` is not read`,
        hint,
      )
    }
  }
}

const scopeOf = (name: string, actions: ReadonlySet<string> | null) => ({ name, actions })
