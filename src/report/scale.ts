/** From a value to a place in the drawing. */
export type Scale = {
  readonly from: number
  readonly to: number
  readonly place: (value: number) => number
  readonly ticks: readonly number[]
}

/** Evenly, with round ticks, of which there are at most about `ticks`. */
export function linearScale(from: number, to: number, start: number, end: number, ticks: number): Scale {
  const place = (value: number): number => rounded(start + ((value - from) / (to - from)) * (end - start))
  const step = roundStep((to - from) / ticks)
  const first = Math.ceil(from / step - 1e-9)
  const last = Math.floor(to / step + 1e-9)
  return {
    from,
    to,
    place,
    ticks: Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12))),
  }
}

/** By powers of ten, at most eight steps of them; what lies outside is drawn at the edge. */
export function powerScale(from: number, to: number, start: number, end: number): Scale {
  const [low, high] = [Math.round(Math.log10(from)), Math.round(Math.log10(to))]
  const place = (value: number): number => {
    const power = Math.min(high, Math.max(low, Math.log10(value)))
    return rounded(start + ((power - low) / (high - low)) * (end - start))
  }
  const step = Math.ceil((high - low) / 8)
  const ticks = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) => 10 ** (low + step * index))
  return { from, to, place, ticks }
}

/** 1, 2 or 5 times a power of ten, and not less than `least`. */
export function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least) + 1e-9)
  return power * ([1, 2, 5].find((it) => it * power >= least * (1 - 1e-9)) ?? 10)
}

/** Places to a hundredth of a pixel. */
const rounded = (place: number): number => Math.round(place * 100) / 100
