import { at } from './column.ts'
import type { Pooled } from './sample.ts'

/** The unit interval is cut into so many pieces; errors below a few of them cannot be told from 0. */
const MESH = 1_000

/**
 * The smooth calibration error smECE (Błasiok and Nakkiran, arXiv 2309.12236): the residuals, smoothed over the score by a
 * Gaussian kernel reflected at 0 and 1, in mean absolute value, at the one width that equals the error it gives. Unlike
 * errors by bins it changes little when the scores do. Accurate to about 1e-3.
 */
export function smoothCalibrationError(pooled: Pooled): number {
  const residuals = residualsOnMesh(pooled)
  let [low, high] = [0, 1]
  while (high - low > 1e-5) {
    const width = (low + high) / 2
    if (meanSmoothed(residuals, width) < width) high = width
    else low = width
  }
  return (low + high) / 2
}

/** (right − score) / rows at each point of the mesh, split between the two points a score lies between. */
function residualsOnMesh({ scores, counts, rights, rows }: Pooled): Float64Array {
  const residuals = new Float64Array(MESH + 1)
  for (let group = 0; group < scores.length; group++) {
    const residual = (at(rights, group) - at(counts, group) * at(scores, group)) / rows
    const place = at(scores, group) * MESH
    const left = Math.min(MESH - 1, Math.floor(place))
    residuals[left] = at(residuals, left) + residual * (left + 1 - place)
    residuals[left + 1] = at(residuals, left + 1) + residual * (place - left)
  }
  return residuals
}

function meanSmoothed(residuals: Float64Array, width: number): number {
  const reach = Math.ceil(6 * width * MESH)
  const weights = Float64Array.from({ length: reach + 1 }, (_, steps) => Math.exp(-0.5 * (steps / MESH / width) ** 2))
  const whole = 2 * weights.reduce((sum, it) => sum + it, 0) - at(weights, 0)
  const smoothed = new Float64Array(MESH + 1)
  for (let from = 0; from <= MESH; from++) {
    const residual = (residuals[from] ?? 0) / whole
    if (residual === 0) continue
    for (let steps = -reach; steps <= reach; steps++) {
      const to = reflected(from + steps)
      smoothed[to] = (smoothed[to] ?? 0) + residual * (weights[Math.abs(steps)] ?? 0)
    }
  }
  return smoothed.reduce((sum, it) => sum + Math.abs(it), 0)
}

/** Folded back at 0 and at the last point, as often as it takes. */
function reflected(place: number): number {
  const inPeriod = Math.abs(place) % (2 * MESH)
  return inPeriod > MESH ? 2 * MESH - inPeriod : inPeriod
}
