import { at } from './column.ts'
import { logLoss } from './metrics.ts'
import { shuffledIndices, type Random } from './random.ts'
import { poolOf, rowsAt, type Pooled, type Sample } from './sample.ts'
import { betaMap, IDENTITY, isotonicMap, plattMap, type MapKind, type ScoreMap } from './score-map.ts'

/** Fewer rows than this give no map worth showing. */
export const ROWS_FOR_A_MAP = 200
const ROWS_FOR_ISOTONIC = 1_000
const DISTINCT_FOR_ISOTONIC = 32
const FOLDS = 5

export type Candidate = {
  readonly kind: MapKind
  /** Mean log loss on rows it was not fitted to. */
  readonly logLoss: number
  /** By how much that is less than identity's, and the standard error of the difference. */
  readonly gain: number
  readonly gainError: number
}

export type Chosen = {
  readonly map: ScoreMap
  readonly candidates: readonly Candidate[]
  /** What the chosen kind says of each row when fitted without it: the honest way to measure what it does. */
  readonly outOfFold: Float64Array
}

const FITS: Readonly<Record<MapKind, (pooled: Pooled) => ScoreMap | null>> = {
  identity: () => IDENTITY,
  isotonic: isotonicMap,
  platt: plattMap,
  beta: betaMap,
}

/**
 * The map with the least log loss on rows it was not fitted to (five folds), fitted to all rows. Identity stays unless that
 * is better by more than the standard error of the difference. null with fewer than 200 rows.
 */
export function chooseMap(sample: Sample, random: Random): Chosen | null {
  const rows = sample.scores.length
  if (rows < ROWS_FOR_A_MAP) return null
  const pooled = poolOf(sample)
  const predictions = predictionsOutOfFold(sample, kindsFor(pooled), random)
  const losses = new Map([...predictions].map(([kind, values]) => [kind, lossesOf(sample, values)]))
  const plain = losses.get('identity') ?? new Float64Array(rows)
  const candidates = [...losses].map(([kind, loss]) => candidateOf(kind, loss, plain))
  const best = candidates.reduce((best, it) => (it.logLoss < best.logLoss ? it : best))
  const kind = best.gain > best.gainError ? best.kind : 'identity'
  return { map: FITS[kind](pooled) ?? IDENTITY, candidates, outOfFold: predictions.get(kind) ?? sample.scores }
}

/** Few distinct scores or many rows carry isotonic regression; continuous scores carry a curve of two or three numbers. */
function kindsFor({ scores, rows }: Pooled): readonly MapKind[] {
  if (scores.length <= DISTINCT_FOR_ISOTONIC) return ['identity', 'isotonic']
  return rows >= ROWS_FOR_ISOTONIC ? ['identity', 'isotonic', 'beta', 'platt'] : ['identity', 'beta', 'platt']
}

/** Each row under maps fitted without its fold; a kind that cannot be fitted somewhere is left out. */
function predictionsOutOfFold(sample: Sample, kinds: readonly MapKind[], random: Random): Map<MapKind, Float64Array> {
  const order = shuffledIndices(sample.scores.length, random)
  const predictions = new Map(kinds.map((kind) => [kind, new Float64Array(order.length)]))
  for (let fold = 0; fold < FOLDS; fold++) {
    const training = poolOf(
      rowsAt(
        sample,
        order.filter((_, place) => place % FOLDS !== fold),
      ),
    )
    const held = order.filter((_, place) => place % FOLDS === fold)
    for (const [kind, values] of predictions) {
      const map = FITS[kind](training)
      if (map === null) predictions.delete(kind)
      else for (const row of held) values[row] = map.apply(at(sample.scores, row))
    }
  }
  return predictions
}

const lossesOf = ({ right }: Sample, predictions: Float64Array): Float64Array =>
  predictions.map((probability, row) => logLoss(probability, at(right, row) === 1 ? 1 : 0))

function candidateOf(kind: MapKind, losses: Float64Array, plain: Float64Array): Candidate {
  const gains = losses.map((loss, row) => at(plain, row) - loss)
  const gain = meanOf(gains)
  const variance = meanOf(gains.map((it) => (it - gain) ** 2))
  return { kind, logLoss: meanOf(losses), gain, gainError: Math.sqrt(variance / losses.length) }
}

const meanOf = (column: Float64Array): number => column.reduce((sum, it) => sum + it, 0) / column.length
