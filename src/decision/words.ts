/** How findings and explanations put values into words. */

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** Milliseconds in the largest unit that fits, e.g. `1.5 h`. */
export function duration(ms: number): string {
  const size = Math.abs(ms)
  const unit = UNITS.find(([, unitMs]) => size >= unitMs)
  return unit === undefined ? `${ms} ms` : `${Math.round((ms / unit[1]) * 10) / 10} ${unit[0]}`
}

/** A share as people write it: 0.05 is 5 %, 0.0125 is 1.25 %. */
export const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`

/** At most `max` UTF-16 units of a text from outside. Well-formed, so that it survives being written as UTF-8. */
export const shorten = (text: string, max: number): string =>
  (text.length > max ? `${text.slice(0, max - 1)}…` : text).toWellFormed()

/** A value from outside in backticks, at most 80 characters of it. */
export const quote = (value: string): string => `\`${shorten(value, 80)}\``

const DAY_MS = 86_400_000
const pad = (value: number, width: number): string => String(value).padStart(width, '0')

/**
 * Milliseconds since 1970 as ISO 8601 in UTC; the bare number where that is no time of the years 0 to 9999. The date is
 * computed as in Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
 */
export function isoTime(ms: number): string {
  if (!Number.isSafeInteger(ms)) return `${ms}`
  const days = Math.floor(ms / DAY_MS)
  const { year, month, day } = dateOf(days)
  if (!(year >= 0 && year <= 9999)) return `${ms}`
  const rest = ms - days * DAY_MS
  const [h, m, s] = [Math.floor(rest / 3_600_000), Math.floor(rest / 60_000) % 60, Math.floor(rest / 1000) % 60]
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(rest % 1000, 3)}Z`
}

function dateOf(daysSince1970: number): { readonly year: number; readonly month: number; readonly day: number } {
  // Years begin in March here, so that a leap day is a year's last day; an era has 400 years.
  const shifted = daysSince1970 + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  }
}
