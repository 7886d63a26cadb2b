import type { ModelOutput } from './event.ts'
import type { ControlFact, Facts } from './facts.ts'

/** An operator's standing order and its scope, in which null covers all; the fields of schemas/control.avsc. */
export type ControlOrder = ControlFact & {
  readonly tenant: string | null
  readonly model: string | null
  readonly action: string | null
  readonly actor: string | null
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

/** Whether the event is in the order's scope. Expiry is left to the decision, which knows the time. */
export function covers(order: ControlOrder, event: ModelOutput): boolean {
  return (
    (order.tenant === null || order.tenant === event.tenant) &&
    (order.model === null || order.model === event.model.name) &&
    (order.action === null || order.action === event.action) &&
    (order.actor === null || order.actor === event.actor)
  )
}

/** The order without its scope, as a verdict records it. */
export function toFact({ id, kind, route, rule, author, reason, expiresAt, certificate }: ControlOrder): ControlFact {
  return { id, kind, route, rule, author, reason, expiresAt, certificate }
}

/** The order that withdraws a certificate, everywhere and until it is lifted; whoever gives it again replaces it. */
export const withdrawalOf = (
  certificate: string,
  given: Pick<ControlOrder, 'author' | 'reason' | 'createdAt'>,
): ControlOrder => ({
  id: `withdraw:${certificate}`,
  kind: 'force',
  route: 'review',
  rule: null,
  tenant: null,
  model: null,
  action: null,
  actor: null,
  ...given,
  expiresAt: null,
  certificate,
})

/** What is wrong with an order, in a sentence that says what to do; null when it can be put in force. */
export function controlProblem(order: ControlOrder): string | null {
  if (order.id === '') return 'the order has no id; give it one, it is what lifts it again'
  if (order.certificate !== null) return withdrawalProblem(order, order.certificate)
  if (order.kind === 'exempt') return exemptionProblem(order)
  return order.route === 'execute' ? `a ${order.kind} order cannot route to execute; use review or reject` : null
}

const CERTIFICATE_ID = /^[0-9a-f]{32}$/

function withdrawalProblem({ kind, route }: ControlOrder, certificate: string): string | null {
  if (!CERTIFICATE_ID.test(certificate)) {
    return `\`${certificate}\` is no id of a certificate; verdicts and \`sluice certify -o\` name it, 32 digits from 0 to f`
  }
  const isWithdrawal = kind === 'force' && route === 'review'
  return isWithdrawal ? null : 'an order with a `certificate` withdraws it; its kind must be force and its route review'
}

function exemptionProblem(order: ControlFact): string | null {
  if (order.rule === null || order.rule === '') return 'an exemption must name one rule or limit in `rule`'
  if (order.author === '') return 'an exemption must name its author'
  if (order.expiresAt === null || !Number.isSafeInteger(order.expiresAt)) {
    return 'an exemption must expire; set `expiresAt`, milliseconds since 1970'
  }
  return null
}

/** Stated so that an unusable time leaves an order in force. */
export const isInForce = (order: ControlFact, now: number): boolean =>
  order.expiresAt === null || !(order.expiresAt <= now)

const NO_EXEMPTIONS: ReadonlyMap<string, ControlFact> = new Map()

/**
 * Exemptions that count, by rule or limit. Unlike a kill switch, an exemption that is malformed or whose time cannot
 * be told is void.
 */
export function exemptionsOf({ control, now }: Facts): ReadonlyMap<string, ControlFact> {
  if (control.length === 0) return NO_EXEMPTIONS
  const exemptions = new Map<string, ControlFact>()
  for (const order of control) {
    if (order.kind !== 'exempt' || order.rule === null || exemptionProblem(order) !== null) continue
    if (order.expiresAt !== null && order.expiresAt > now) exemptions.set(order.rule, order)
  }
  return exemptions
}
