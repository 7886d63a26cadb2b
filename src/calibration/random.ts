/** A stream of numbers in [0, 1). Whoever needs chance is handed one, so that every result can be had again. */
export type Random = () => number

/** The same seed (a whole number) gives the same stream: sfc32, by Chris Doty-Humphrey (public domain). */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const next = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 4_294_967_296
  }
  // Seeds that differ in one bit only must have lost their likeness before the first number is used.
  for (let round = 0; round < 15; round++) next()
  return next
}

/** A whole number from 0 to before `count`, each as likely as any other. */
export const below = (random: Random, count: number): number => Math.floor(random() * count)

/** 0 to `count` − 1 in random order (Fisher–Yates). */
export function shuffledIndices(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const other = below(random, last + 1)
    const held = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = held
  }
  return order
}
