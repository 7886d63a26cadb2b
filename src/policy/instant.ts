import { text, type Reader } from './fields.ts'

/** RFC 3339 in UTC. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/u
const INSTANT_HINT = 'Write a time in UTC, such as `2027-01-31T00:00:00Z`.'
const instantText = text({ pattern: INSTANT, max: 30, hint: INSTANT_HINT })

/** A time, as milliseconds since 1970. */
export const instant: Reader<number> = (source, value) => {
  const found = instantText(source, value)
  if (found === undefined) return undefined
  const ms = Date.parse(found)
  return Number.isNaN(ms) ? source.report(value.offset, `\`${found}\` is no date`, INSTANT_HINT) : ms
}
