import { certify } from '../../src/calibration/certify.ts'
import { below, seededRandom, type Random } from '../../src/calibration/random.ts'
import { poolOf, rowsAt, type Pooled, type Sample } from '../../src/calibration/sample.ts'
import { isotonicMap } from '../../src/calibration/score-map.ts'

export const DRAWS = 200
/** The 99 % quantile of Bin(200, 0.05): more broken promises than this are no chance. */
export const BROKEN_MAX = 18
const ROWS = 5_000
const DELTA = 0.05

/** How a way to choose a threshold did over many draws from one population. */
export type Tally = {
  /** Draws in which more than the risk among executed rows of the population are errors. */
  readonly broken: number
  /** Draws in which it executed nothing. */
  readonly refused: number
  /** The mean share of the population that is executed. */
  readonly coverage: number
}

export type Way = 'certified' | 'reference' | 'rawScore' | 'isotonicMean'

export type Acceptance = Readonly<Record<Way, Tally>> & {
  /** The share that could be executed if every label were known. */
  readonly oracle: number
}

type Draw = { readonly labelled: Sample; readonly unlabelled: Float64Array }
type Choose = (draw: Draw, risk: number) => number | null

/** All ways on the same seeded draws of 5,000 with replacement, and what could be executed at best. */
export function accept(population: Sample, risk: number, seed: number, draws = DRAWS): Acceptance {
  const truth = truthOf(poolOf(population))
  return {
    ...talliesOf(['certified', 'reference', 'rawScore', 'isotonicMean'], population, risk, seed, draws),
    oracle: Math.max(0, ...truth.filter(({ share }) => share <= risk).map(({ coverage }) => coverage)),
  }
}

/** Some of the ways on the same draws; the same seed gives the same draws. */
export function talliesOf<W extends Way>(
  ways: readonly W[],
  population: Sample,
  risk: number,
  seed: number,
  draws = DRAWS,
): Readonly<Record<W, Tally>> {
  const random = seededRandom(seed)
  const truth = truthOf(poolOf(population))
  const results = Array.from({ length: draws }, () => {
    const draw = drawFrom(population, random)
    return ways.map((way) => {
      const threshold = WAYS[way](draw, risk)
      return threshold === null ? undefined : truth.findLast(({ score }) => score >= threshold)
    })
  })
  const tallies = ways.map(
    (way, index) =>
      [
        way,
        tallyOf(
          results.map((it) => it[index]),
          risk,
        ),
      ] as const,
  )
  return Object.fromEntries(tallies) as Record<W, Tally>
}

function tallyOf(results: readonly (Truth[number] | undefined)[], risk: number): Tally {
  const executing = results.filter((it) => it !== undefined)
  return {
    broken: executing.filter(({ share }) => share > risk).length,
    refused: results.length - executing.length,
    coverage: executing.reduce((sum, { coverage }) => sum + coverage, 0) / results.length,
  }
}

function drawFrom(population: Sample, random: Random): Draw {
  const rows = () => Uint32Array.from({ length: ROWS }, () => below(random, population.scores.length))
  return { labelled: rowsAt(population, rows()), unlabelled: rowsAt(population, rows()).scores }
}

/** For each distinct score, strict to loose: what executing from it upwards would execute, and how much of it is wrong. */
type Truth = readonly { readonly score: number; readonly coverage: number; readonly share: number }[]

function truthOf({ scores, counts, rights, rows }: Pooled): Truth {
  let [executed, errors] = [0, 0]
  return [...scores.keys()].toReversed().map((group) => {
    executed += counts[group] ?? NaN
    errors += (counts[group] ?? NaN) - (rights[group] ?? NaN)
    return { score: scores[group] ?? NaN, coverage: executed / rows, share: errors / executed }
  })
}

const certifiedThreshold: Choose = ({ labelled, unlabelled }, risk) =>
  certify(poolOf(labelled), unlabelled, { risk, delta: DELTA, budget: 'per-execution' }).threshold

/** The loosest score from which on the errors that an isotonic map expects are within the risk on average. */
const isotonicMeanThreshold: Choose = ({ labelled }, risk) => {
  const pooled = poolOf(labelled)
  const map = isotonicMap(pooled)
  let [executed, expected] = [0, 0]
  let loosest: number | null = null
  for (const group of [...pooled.scores.keys()].toReversed()) {
    const [score = NaN, count = NaN] = [pooled.scores[group], pooled.counts[group]]
    executed += count
    expected += count * (1 - map.apply(score))
    if (expected <= risk * executed) loosest = score
  }
  return loosest
}

// ---- the same method once more, as plainly as it can be written ---------------------------------------------------

const referenceThreshold: Choose = ({ labelled, unlabelled }, risk) => {
  const sorted = unlabelled.toSorted()
  let n1 = 1
  while (tailByTerms(1, n1, risk) > DELTA) n1++
  const least = n1 / ROWS
  const levels = Array.from({ length: 50 }, (_, i) => [least * (1 / least) ** (i / 49), least + ((1 - least) * i) / 49])
  const quantile = (p: number): number => sorted[Math.ceil(p * (sorted.length - 1))] ?? NaN
  const grid = [...new Set(levels.flat().map((level) => quantile(Math.max(0, 1 - level))))].sort((a, b) => b - a)
  const starts = [0, 1, 2, 3, 4].map((start) => Math.floor((start * grid.length) / 5))
  const rows = [...labelled.scores.keys()].sort((a, b) => (labelled.scores[b] ?? NaN) - (labelled.scores[a] ?? NaN))
  let [executed, errors, carried] = [0, 0, 0]
  let loosest: number | null = null
  for (const [index, threshold] of grid.entries()) {
    for (; (labelled.scores[rows[executed] ?? -1] ?? NaN) >= threshold; executed++)
      errors += 1 - (labelled.right[rows[executed] ?? -1] ?? NaN)
    const level = carried + (DELTA / 5) * starts.filter((start) => start === index).length
    const passes = level > 0 && executed > 0 && tailByTerms(errors, executed, risk) <= level
    if (passes) loosest = threshold
    carried = passes ? level : 0
  }
  return loosest
}

const LOG_FACTORIALS = new Float64Array(ROWS + 1)
for (let n = 1; n <= ROWS; n++) LOG_FACTORIALS[n] = (LOG_FACTORIALS[n - 1] ?? NaN) + Math.log(n)

function tailByTerms(k: number, n: number, p: number): number {
  const log = (m: number): number => LOG_FACTORIALS[m] ?? NaN
  let sum = 0
  for (let hits = 0; hits <= Math.min(k, n); hits++)
    sum += Math.exp(log(n) - log(hits) - log(n - hits) + hits * Math.log(p) + (n - hits) * Math.log1p(-p))
  return sum
}

const WAYS: Readonly<Record<Way, Choose>> = {
  certified: certifiedThreshold,
  reference: referenceThreshold,
  rawScore: (_, risk) => 1 - risk,
  isotonicMean: isotonicMeanThreshold,
}
