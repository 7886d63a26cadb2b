type Points = readonly (readonly [raw: number, calibrated: number])[]

/**
 * A monotone map from raw to calibrated score, bound to one model version. `points` are [raw, calibrated], both
 * strictly (raw) and weakly (calibrated) rising, at least two, within [0, 1]; between points it is linear, outside
 * it is constant.
 */
export type CalibrationTable = {
  readonly model: { readonly name: string; readonly version: string }
  /** null: every action of that model. */
  readonly action: string | null
  readonly scoreKind: string
  readonly points: Points
  /** The ends of the Venn–Abers interval by raw score, read as `points` are, and neither ever falls; null: not known. */
  readonly interval: { readonly low: Points; readonly high: Points } | null
  /** Milliseconds since 1970; null: does not lapse. */
  readonly expiresAt: number | null
  /** SHA-256 of the table in canonical JSON, first 16 bytes in hex. */
  readonly digest: string
}

/**
 * All tables in force: one calibration file. `digest` is SHA-256 of its text, first 16 bytes in hex; `text` is published
 * so that a verdict can be recomputed. Both null where no file is configured.
 */
export type Calibration = {
  readonly tables: readonly CalibrationTable[]
  readonly digest: string | null
  readonly text: string | null
}

export const NO_CALIBRATION: Calibration = { tables: [], digest: null, text: null }
