import { relatedTo, type Certificate, type Certificates, type CertificateTree } from './certificate.ts'
import { isInForce } from './control.ts'
import type { ModelOutput } from './event.ts'
import type { ControlFact, Facts } from './facts.ts'
import type { ActionRule, CertificateDemand, Policy } from './policy.ts'

/**
 * What stands behind executing on the score where the policy demands a certificate. `void`: there would be one, but it has
 * lapsed or an order withdraws it; its threshold is applied nonetheless, for people to see. `other`: one that does not fit,
 * to be named.
 */
export type Proof =
  | { readonly kind: 'not_demanded' }
  | { readonly kind: 'valid'; readonly certificate: Certificate }
  | { readonly kind: 'void'; readonly certificate: Certificate; readonly withdrawal: ControlFact | null }
  | { readonly kind: 'other'; readonly differs: 'promise' | 'segment' | 'version'; readonly certificate: Certificate }
  | { readonly kind: 'segment_missing'; readonly segment: string }
  | { readonly kind: 'none' }

const NOT_DEMANDED: Proof = { kind: 'not_demanded' }
const NONE: Proof = { kind: 'none' }

/** The loosest certificate that holds for this event and promises enough, or why there is none. */
export function proofOf(event: ModelOutput, rule: ActionRule | null, certificates: Certificates, facts: Facts): Proof {
  const demand = rule?.confidence.certified ?? null
  if (demand === null) return NOT_DEMANDED
  const segment = segmentOf(event, demand)
  if (segment === null && demand.segment !== null) return { kind: 'segment_missing', segment: demand.segment.name }
  const related = relatedTo(event, certificates)
  if (related === null) return NONE
  const bound = related.below.get(event.model.version)?.below.get(segment)?.certificates ?? []
  return bestOf(bound, demand, facts) ?? nearestOf(related, event, bound)
}

const segmentOf = (event: ModelOutput, { segment }: CertificateDemand): string | null => segment?.read(event) ?? null

/** A withdrawn one is named before a lapsed one: somebody had a reason to withdraw it. */
function bestOf(bound: readonly Certificate[], demand: CertificateDemand, facts: Facts): Proof | null {
  let lapsed: Proof | null = null
  let withdrawn: Proof | null = null
  for (const certificate of bound) {
    if (!promises(certificate, demand)) continue
    const withdrawal = withdrawalIn(certificate, facts)
    // Stated so that an unusable time lets it lapse.
    const isLapsed = !(certificate.expiresAt > facts.now)
    if (withdrawal === null && !isLapsed) return { kind: 'valid', certificate }
    if (isLapsed) lapsed ??= { kind: 'void', certificate, withdrawal: null }
    else withdrawn ??= { kind: 'void', certificate, withdrawal }
  }
  return withdrawn ?? lapsed
}

/** A share of errors among executed events bounds their share of all events, but not the other way round. */
const promises = ({ risk, assurance, budget }: Certificate, demand: CertificateDemand): boolean =>
  risk <= demand.risk && assurance >= demand.assurance && (budget === 'per-execution' || budget === demand.budget)

function withdrawalIn({ id }: Certificate, { control, now }: Facts): ControlFact | null {
  for (const order of control) if (order.certificate === id && isInForce(order, now)) return order
  return null
}

function nearestOf(related: CertificateTree, event: ModelOutput, [weaker]: readonly Certificate[]): Proof {
  if (weaker !== undefined) return { kind: 'other', differs: 'promise', certificate: weaker }
  const [segment] = related.below.get(event.model.version)?.certificates ?? []
  if (segment !== undefined) return { kind: 'other', differs: 'segment', certificate: segment }
  const [version] = related.certificates
  return version === undefined ? NONE : { kind: 'other', differs: 'version', certificate: version }
}

const NO_CERTIFICATE: readonly Certificate[] = []

/** Every certificate that the event might rely on: a withdrawal of another one is no fact of its decision. */
export function reliableFor(event: ModelOutput, policy: Policy, certificates: Certificates): readonly Certificate[] {
  const demand = policy.actions.get(event.action)?.confidence.certified ?? null
  if (demand === null) return NO_CERTIFICATE
  const version = relatedTo(event, certificates)?.below.get(event.model.version)
  return version?.below.get(segmentOf(event, demand))?.certificates ?? NO_CERTIFICATE
}
