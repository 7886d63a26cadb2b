/** A whole number with its thousands apart: 12,345. */
export const count = (value: number): string => String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',')

/** A share as 12.3 %, with one more place below ten; – for none. */
export const share = (value: number | null): string => {
  if (value === null || !Number.isFinite(value)) return '–'
  if (value === 0) return '0 %'
  const hundredth = 100 * value
  return `${hundredth.toFixed(Math.abs(hundredth) < 10 ? 2 : 1)} %`
}

/** To so many significant digits, without an exponent where that can be read. */
export const figure = (value: number, digits = 3): string => {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(digits - 2)
  return String(Number(value.toPrecision(digits)))
}
