/**
 * Every finding code the engine can emit, with what it means. Public API and metric label: never put a value in one.
 * Policy authors own `policy.*`. The order of families is the order of precedence among findings of equal route.
 */
export const CODES = {
  'control.killed': 'a kill switch covers this action',
  'control.forced': 'an operator forces at least this route',
  'control.exempted': 'an operator exempted one rule or limit from counting',
  'event.expired': 'the event had expired when it was decided',
  'event.too_old': 'the event is older than the policy allows',
  'event.duplicate': 'the same event was decided before; see the first decision',
  'event.conflict': 'an event with the same id but another payload was decided before',
  'event.replayed': 'the record itself was decided before, and the group’s offset was set back; see its first decision',
  'event.time_in_future': 'the event claims a time further ahead than clocks may differ',
  'event.unkeyed': 'the record has no key, so its order among its entity’s events is unknown',
  'event.incomplete': 'a field that identifies the event is empty',
  'action.unknown': 'the policy does not know the action',
  'state.unavailable': 'state could not be reached in time, and this decision needs it',
  'state.lost': 'state was lost and is not rebuilt yet, and this decision needs it',
  'context.missing': 'a required fact about an entity is not known',
  'context.stale': 'a required fact about an entity is older than the policy allows',
  'rule.failed': 'a rule could not be evaluated on this event',
  'limit.exceeded': 'a limit is used up',
  'limit.unobserved': 'a limit’s counter was not read for this event, so the limit cannot be vouched for',
  'limit.review_capacity': 'there are more reviews than the desk can do, and this one waits',
  'limit.review_price': 'there are more reviews than the desk can do, and this one is worth less than its price',
  'calibration.missing': 'the policy requires a calibrated score and no table covers this model and action',
  'calibration.version_mismatch': 'a calibration table or a certificate exists for another version of this model only',
  'calibration.expired': 'the calibration table has lapsed',
  'calibration.uncertified': 'the policy demands a certificate and none is in force',
  'calibration.certificate_expired': 'the certificate has lapsed',
  'calibration.certificate_too_weak': 'the certificate promises less than the policy demands',
  'calibration.withdrawn': 'the certificate is withdrawn by an order',
  'calibration.segment_missing': 'certificates are per segment, and the event does not say its segment',
  'calibration.segment_uncertified': 'certificates are in force for other segments than this event’s only',
  'confidence.missing': 'the event has no score',
  'confidence.invalid': 'the score is not a finite number',
  'confidence.out_of_range': 'the score is not between 0 and 1',
  'confidence.cost_unknown': 'the cost of a wrong execution could not be computed on this event',
  'confidence.below_reject': 'the score is below the reject band’s edge',
  'confidence.below_execute': 'the score is below the execute threshold',
  'confidence.sufficient': 'the score reaches the execute threshold',
  'audit.selected': 'picked at random for labelling',
} as const satisfies Record<string, string>

export type EngineCode = keyof typeof CODES
export type FindingCode = EngineCode | `policy.${string}`
