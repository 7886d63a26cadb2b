import { NONE, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { ActionRule } from '../policy.ts'
import type { Finding } from '../verdict.ts'
import { isoTime, quote } from '../words.ts'

/** Whether the score can be trusted to mean what the policy's bands mean. */
export const checkCalibration: Check = (matter) => {
  if (matter.rule === null) return NONE
  return including(including(NONE, checkTable(matter, matter.rule)), uncertified(matter.rule))
}

function checkTable({ event, reading: { match } }: Matter, rule: ActionRule): Finding | null {
  if (match.kind === 'found') return null
  if (match.kind === 'none' && rule.confidence.calibrated === 'optional') return null
  const model = `${quote(event.model.name)} ${quote(event.model.version)}`
  if (match.kind === 'lapsed') {
    const when = isoTime(match.table.expiresAt ?? 0)
    return finding('review', 'calibration.expired', null, `the calibration of model ${model} lapsed at ${when}`)
  }
  if (match.kind === 'other_version') {
    const other = quote(match.table.model.version)
    const detail = `model ${model} has no calibration, only version ${other} of it has`
    return finding('review', 'calibration.version_mismatch', null, detail)
  }
  const detail = `no calibration covers ${quote(event.scoreKind)} scores of model ${model} for ${quote(event.action)}`
  return finding('review', 'calibration.missing', null, detail)
}

/**
 * An irreversible action needs a certificate, whatever static threshold the policy gives it. There are no certificates
 * in force, so every demand for one is unmet; this is where one would be looked up.
 */
function uncertified({ action, undo, confidence }: ActionRule): Finding | null {
  const isIrreversible = undo === 'irreversible' && confidence.execute !== null
  const isDemanded = confidence.execute === null && confidence.certified !== null
  if (!isIrreversible && !isDemanded) return null
  const detail = isDemanded
    ? `${quote(action)} is executed only with a certificate, and none is in force`
    : `${quote(action)} is irreversible: a static threshold is not enough, and no certificate is in force`
  return finding('review', 'calibration.uncertified', null, detail)
}
