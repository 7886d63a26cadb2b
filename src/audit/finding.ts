/** Every way in which the promise of exactly one true verdict can be found broken. Public API: metric label. */
export const AUDIT_FINDINGS = {
  lost: 'an event below the committed offset has neither a verdict nor a dead letter',
  doubled: 'an event has more than one verdict or dead letter',
  orphan: 'a verdict or dead letter is about an offset at which no event lies',
  altered: 'a verdict or dead letter is not what its event and its own record give',
  counter: 'a verdict was decided on, or state holds, a count lower than what the verdicts before have counted',
} as const satisfies Record<string, string>

export type FindingKind = keyof typeof AUDIT_FINDINGS

/** One thing found wrong with the answers to the offsets from `from` to before `next` of an input partition; −1: with state. */
export type AuditFinding = {
  readonly kind: FindingKind
  readonly partition: number
  readonly from: number
  readonly next: number
  /** A sentence for people. */
  readonly detail: string
}
