import { hash } from 'node:crypto'
import type { ActionRule, Policy } from '../policy.ts'
import { finding } from '../matter.ts'
import type { Finding, Verdict } from '../verdict.ts'

const NOT_AUDITED: Verdict['audit'] = { selected: false, propensity: 0 }

/** Only what is executed is audited: what people see anyway needs no sample. */
export function auditOf(
  isExecute: boolean,
  actionKey: string,
  rule: ActionRule | null,
  policy: Policy,
): Verdict['audit'] {
  if (!isExecute || rule === null) return NOT_AUDITED
  return { selected: drawOf(policy.auditSalt, actionKey) < rule.auditShare, propensity: rule.auditShare }
}

/**
 * Evenly spread over 0 to 1, and foreseeable only by who knows the salt: the first 8 bytes of SHA-256(salt, action key)
 * over 2^64. The action key has a fixed length, so the two need no delimiter.
 */
const drawOf = (salt: string, actionKey: string): number =>
  Number.parseInt(hash('sha256', salt + actionKey, 'hex').slice(0, 16), 16) / 2 ** 64

export const selected = ({ propensity }: Verdict['audit']): Finding =>
  finding('execute', 'audit.selected', null, `picked for labelling; the chance was ${propensity}`)
