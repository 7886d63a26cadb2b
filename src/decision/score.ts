import type { Certificate } from './certificate.ts'
import { bandsOf } from './bands.ts'
import type { Matter } from './matter.ts'
import type { Promised, Score } from './verdict.ts'

/** The score as the verdict records it. */
export function scoreOf(matter: Matter): Score {
  const { reading, proof, weighed } = matter
  const { raw, calibrated, match, interval } = reading
  const { execute, reject } = bandsOf(matter)
  const isCalibrated = calibrated !== null && match.kind !== 'none'
  const certificate = proof.kind === 'valid' ? proof.certificate : null
  const toCertified = overOf(raw, certificate?.threshold ?? null)
  return {
    raw,
    calibrated,
    execute,
    reject,
    margin: marginOf(overOf(calibrated, execute), toCertified, overOf(calibrated, reject)),
    calibrator: isCalibrated ? match.table.digest : null,
    certificate: certificate?.id ?? null,
    certified: certificate === null ? null : promisedBy(certificate),
    low: interval?.low ?? null,
    high: interval?.high ?? null,
    costs: weighed.kind === 'weighed' ? weighed.amounts : null,
  }
}

const overOf = (score: number | null, edge: number | null): number | null =>
  score === null || edge === null ? null : score - edge

/**
 * Distance to the nearest edge, positive above it; of two equally near, to the execute edge. Where a certificate and a
 * threshold must both be reached, the one that lacks more, or is exceeded by less, is the execute edge.
 */
function marginOf(toExecute: number | null, toCertified: number | null, toReject: number | null): number | null {
  const upper = toExecute === null ? toCertified : toCertified === null ? toExecute : Math.min(toExecute, toCertified)
  if (upper === null || toReject === null) return upper ?? toReject
  return Math.abs(toReject) < Math.abs(upper) ? toReject : upper
}

const promisedBy = ({ threshold, risk, assurance, budget, segment, upperBound }: Certificate): Promised => ({
  threshold,
  risk,
  assurance,
  budget,
  segment,
  upperBound,
})
