import type { Policy } from '../decision/policy.ts'
import { celSetting } from './cel-environment.ts'
import { activations } from './condition.ts'
import { crossProblems } from './cross-checks.ts'
import { digestOf } from './digest.ts'
import { duration } from './dimension.ts'
import { Fields, isWhole, list, positiveInteger, share, text, type Reader } from './fields.ts'
import { id } from './names.ts'
import type { Problem } from './problem.ts'
import { readActions } from './read-actions.ts'
import { readContext } from './read-context.ts'
import { capacity, desksOf, type Capacity } from './read-desks.ts'
import { limit, window } from './read-limits.ts'
import { bindRule, rule } from './read-rules.ts'
import type { WrittenPolicy } from './written-policy.ts'
import { parseSource, startOf, type Source } from './source.ts'

export type LoadedPolicy =
  | { readonly kind: 'policy'; readonly policy: Policy }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

const ROOT_FIELDS = [
  'policy',
  'version',
  'event',
  'duplicates',
  'audit',
  'actions',
  'reviewCapacity',
  'limits',
  'context',
  'rules',
]

/**
 * Reads a policy and compiles it, or says everything that is wrong with it; `file` is named in the problems. The format
 * is schemas/policy.schema.json. Never throws.
 */
export function loadPolicy(text: string, file: string): LoadedPolicy {
  const parsed = parseSource(text, file)
  if (parsed.kind === 'problems') return parsed
  const { source, root } = parsed
  const place = { name: 'the policy', keyOffset: 0, offset: startOf(root), node: root }
  const fields = Fields.of(source, place, ROOT_FIELDS)
  if (fields === undefined) return { kind: 'problems', problems: source.problems }
  const head = readHead(fields)
  const written = readParts(source, fields, head.audit?.share ?? 0)
  crossProblems(source, written)
  if (source.problems.length > 0 || !isWhole(head)) return { kind: 'problems', problems: source.problems }
  return { kind: 'policy', policy: compile(text, head, written) }
}

type Head = {
  readonly name: string
  readonly version: number
  readonly event: { readonly maxFutureMs: number; readonly maxAgeMs: number | null }
  readonly duplicatesMs: number
  readonly audit: { readonly share: number; readonly salt: string | null }
  readonly reviews: Capacity | null
}
type ReadHead = { readonly [K in keyof Head]: Head[K] | undefined }

const readHead = (root: Fields): ReadHead => ({
  name: root.required('policy', id, 'Give the policy a name, such as `policy: refunds`.'),
  version: root.required('version', positiveInteger, 'Count up with every change, from `version: 1`.'),
  event: root.optional('event', eventSettings, { maxFutureMs: 300_000, maxAgeMs: null }),
  duplicatesMs: root.optional('duplicates', duplicateSettings, 86_400_000),
  audit: root.optional('audit', auditSettings, { share: 0, salt: null }),
  reviews: root.optional<Capacity | null>('reviewCapacity', capacity, null),
})

const eventSettings: Reader<Head['event']> = (source, value) => {
  const fields = Fields.of(source, value, ['maxFuture', 'maxAge'])
  if (fields === undefined) return undefined
  const parts = {
    maxFutureMs: fields.optional('maxFuture', duration('0s', '24h'), 300_000),
    maxAgeMs: fields.optional<number | null>('maxAge', duration('1s', '366d'), null),
  }
  return isWhole(parts) ? parts : undefined
}

const duplicateSettings: Reader<number> = (source, value) =>
  Fields.of(source, value, ['window'])?.required('window', window, 'How long an event is remembered, such as `24h`.')

const auditSettings: Reader<Head['audit']> = (source, value) => {
  const fields = Fields.of(source, value, ['share', 'salt'])
  if (fields === undefined) return undefined
  const parts = {
    share: fields.required('share', share, 'The share of executed events to label, such as 0.05.'),
    salt: fields.optional<string | null>(
      'salt',
      text({ max: 64, hint: 'Any text; a new one picks other events.' }),
      null,
    ),
  }
  return isWhole(parts) ? parts : undefined
}

/** Conditions are checked against the contexts and limits that could be read, whatever else is wrong with the file. */
function readParts(source: Source, root: Fields, auditShare: number): WrittenPolicy {
  const actions = readActions(source, root, auditShare)
  const limits = root.optional('limits', list(limit(actions.names), { max: 32 }), []) ?? []
  const context = readContext(source, root, actions.names)
  const setting = celSetting(
    new Map(context.map(({ value }) => [value.need.name, value.fields])),
    limits.map(({ value }) => value.id),
  )
  const rules = root.optional('rules', list(rule(setting, actions.names), { max: 256 }), []) ?? []
  return { actions, limits, context, setting, rules }
}

function compile(text: string, head: Head, { actions, limits, context, setting, rules }: WrittenPolicy): Policy {
  const desks = desksOf(head.reviews, actions.capacities, actions.names)
  const bind = bindRule(activations(setting.makers))
  return {
    name: head.name,
    version: head.version,
    digest: digestOf(text),
    text,
    actions: actions.rules,
    limits: limits.map(({ value }) => value),
    desks,
    context: context.map(({ value }) => value.need),
    rules: rules.map(({ value }) => bind(value)),
    ...head.event,
    duplicatesMs: head.duplicatesMs,
    auditSalt: head.audit.salt ?? head.name,
    longestWindowMs: Math.max(
      head.duplicatesMs,
      ...limits.map(({ value }) => value.windowMs),
      ...desks.map(({ windowMs }) => windowMs),
    ),
  }
}
