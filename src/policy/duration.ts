const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Milliseconds of `500ms`, `30s`, `5m`, `1h` or `7d`; null for anything else. */
export function parseDuration(text: string): number | null {
  const match = /^(0|[1-9][0-9]{0,11})(ms|s|m|h|d)$/u.exec(text)
  const unit = UNITS.get(match?.[2] ?? '')
  return match === null || unit === undefined ? null : Number(match[1]) * unit
}

/** The shortest way to write it: 3,600,000 is `1h`. */
export function formatDuration(ms: number): string {
  const fitting = [...UNITS].filter(([, unit]) => ms >= unit && ms % unit === 0).at(-1)
  return fitting === undefined ? `${ms}ms` : `${ms / fitting[1]}${fitting[0]}`
}
