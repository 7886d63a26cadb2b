import { deskId } from '../decision/desk.ts'
import type { Limit } from '../decision/policy.ts'
import { parseDuration } from './duration.ts'
import { text, type Reader } from './fields.ts'

/** How many reviews in which time, milliseconds. */
export type Capacity = { readonly max: number; readonly windowMs: number }

const CAPACITY = /^([1-9][0-9]{0,8})\/((?:[1-9][0-9]{0,4})?[smhd])$/u
const HINT = 'Write how many in which time, such as `50/h` or `400/8h`; from 1 second to 31 days.'
const words = text({ pattern: CAPACITY, max: 20, hint: HINT })
const LONGEST_MS = 31 * 86_400_000

export const capacity: Reader<Capacity> = (source, value) => {
  const [, max = '', time = ''] = CAPACITY.exec(words(source, value) ?? '') ?? []
  if (max === '') return undefined
  const windowMs = parseDuration(/^\d/u.test(time) ? time : `1${time}`) ?? 0
  if (windowMs <= LONGEST_MS) return { max: Number(max), windowMs }
  return source.report(value.offset, `reviews cannot be counted over \`${time}\``, HINT)
}

/** One desk for each action that has its own, and one for the rest. */
export function desksOf(
  common: Capacity | null,
  own: ReadonlyMap<string, Capacity>,
  actions: Iterable<string>,
): Limit[] {
  const desks = [...own].map(([action, it]) => desk(deskId(action), it, new Set([action])))
  const rest = new Set([...actions].filter((action) => !own.has(action)))
  return common === null || rest.size === 0 ? desks : [...desks, desk(deskId(null), common, rest)]
}

/** It counts where it is reserved, as executions do. */
const desk = (id: string, it: Capacity, actions: ReadonlySet<string>): Limit => ({
  id,
  count: 'executions',
  per: [],
  ...it,
  over: 'review',
  actions,
})
