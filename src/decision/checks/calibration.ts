import type { Certificate } from '../certificate.ts'
import type { FindingCode } from '../codes.ts'
import type { ControlFact } from '../facts.ts'
import { NONE, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { ActionRule, CertificateDemand } from '../policy.ts'
import type { Proof } from '../proof.ts'
import type { Finding } from '../verdict.ts'
import { isoTime, percent, quote, shorten } from '../words.ts'

/** Whether the score can be trusted to mean what the policy's bands mean. */
export const checkCalibration: Check = (matter) => {
  if (matter.rule === null) return NONE
  return including(including(NONE, checkTable(matter, matter.rule)), checkProof(matter, matter.rule))
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

/** An irreversible action needs a certificate, whatever static threshold the policy gives it. */
function checkProof({ event, proof }: Matter, { action, undo, confidence }: ActionRule): Finding | null {
  if (proof.kind === 'valid') return null
  if (proof.kind !== 'not_demanded') return unproven(proof, event, action, confidence.certified)
  if (undo !== 'irreversible' || confidence.execute === null) return null
  const detail = `${quote(action)} is irreversible: a static threshold is not enough, and no certificate is in force`
  return finding('review', 'calibration.uncertified', null, detail)
}

type Unproven = Exclude<Proof, { readonly kind: 'valid' | 'not_demanded' }>

function unproven(proof: Unproven, event: Matter['event'], action: string, demand: CertificateDemand | null): Finding {
  if (proof.kind === 'other') return unfit(proof, event, demand)
  if (proof.kind === 'void')
    return proof.withdrawal === null ? lapsed(proof.certificate) : withdrawn(proof.certificate, proof.withdrawal)
  if (proof.kind === 'none')
    return because('uncertified', null, `${quote(action)} is executed only with a certificate, and none is in force`)
  const detail = `certificates are per ${quote(proof.segment)}, which the event does not have`
  return because('segment_missing', null, detail)
}

const lapsed = ({ id, expiresAt }: Certificate): Finding =>
  because('certificate_expired', id, `the certificate lapsed at ${isoTime(expiresAt)}`)

const withdrawn = ({ id }: Certificate, { author, reason }: ControlFact): Finding =>
  because('withdrawn', id, `${quote(author)} has withdrawn the certificate: ${shorten(reason, 300)}`)

function unfit(
  { differs, certificate }: Extract<Proof, { readonly kind: 'other' }>,
  { model }: Matter['event'],
  demand: CertificateDemand | null,
): Finding {
  const { id } = certificate
  if (differs === 'segment') return because('segment_uncertified', id, segmentDetail(certificate, demand))
  if (differs === 'promise')
    return because('certificate_too_weak', id, `${promise(certificate)} is promised; ${wanted(demand)}`)
  const other = quote(certificate.model.version)
  const detail = `model ${quote(model.name)} ${quote(model.version)} has no certificate, only version ${other} of it has`
  return because('version_mismatch', id, detail)
}

const segmentDetail = ({ segment }: Certificate, demand: CertificateDemand | null): string =>
  demand?.segment === null
    ? `there are certificates for single segments such as ${quote(segment ?? '')}, and none for all traffic`
    : `no certificate is for this event's ${quote(demand?.segment?.name ?? '')}; there is one for ${segment === null ? 'all traffic, which says nothing of a part of it' : quote(segment)}`

type Promise = Pick<Certificate, 'risk' | 'assurance' | 'budget'>

const promise = ({ risk, assurance, budget }: Promise): string =>
  `at most ${percent(risk)} errors ${budget === 'per-event' ? 'of all events' : 'among executed events'} with ${percent(assurance)}`

const wanted = (demand: CertificateDemand | null): string =>
  demand === null ? '' : `the policy demands ${promise(demand)}`

type ProofCode = Extract<FindingCode, `calibration.${string}`> extends `calibration.${infer Name}` ? Name : never

const because = (code: ProofCode, certificate: string | null, detail: string): Finding =>
  finding('review', `calibration.${code}`, certificate, detail)
