import { isotonicBlocks, type Block } from './isotonic.ts'
import { meanLoss, squaredLoss } from './metrics.ts'
import type { Pooled } from './sample.ts'

/**
 * What a Brier score is made of, by isotonic regression: Brier = miscalibration − discrimination + uncertainty. Dimitriadis,
 * Gneiting, Jordan: "Stable reliability diagrams for probabilistic classifiers" (CORP), PNAS 2021.
 */
export type BrierParts = {
  readonly brier: number
  /** What the best rising map would save. */
  readonly miscalibration: number
  /** What knowing the scores is worth. */
  readonly discrimination: number
  /** The Brier score of always saying the share of right rows. */
  readonly uncertainty: number
}

export function brierParts(pooled: Pooled, blocks: readonly Block[] = isotonicBlocks(pooled)): BrierParts {
  const brier = meanLoss(pooled, squaredLoss)
  const recalibrated = blocks.reduce((sum, { share, rows }) => sum + rows * share * (1 - share), 0) / pooled.rows
  const share = pooled.rightRows / pooled.rows
  const uncertainty = share * (1 - share)
  return { brier, miscalibration: brier - recalibrated, discrimination: uncertainty - recalibrated, uncertainty }
}
