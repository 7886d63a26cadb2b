import { loadPolicy } from '../../src/policy/load-policy.ts'
import type { Policy } from '../../src/decision/policy.ts'

/**
 * Nothing leaves a window while a run lasts, so that counters can be recounted to the last one. Some owners come to the
 * end of their quota and others do not.
 */
export const POLICY_TEXT = `policy: kill-loop
version: 1
event: { maxFuture: 5m, maxAge: 24h }
duplicates: { window: 1d }
actions:
  item.flag: { undo: reversible, confidence: { execute: 0.4, reject: 0.2 } }
  item.hide: { undo: reversible, stateless: true, confidence: { execute: 0.6, reject: 0.2 } }
  item.sell: { undo: compensable, confidence: { execute: 0.6, reject: 0.2 } }
limits:
  - { id: burst, count: proposals, per: [subject.owner], max: 1000000000, window: 1d, over: review, actions: [item.flag] }
  - { id: flags, count: executions, per: [model.name], max: 1000000000, window: 1d, over: review, actions: [item.flag] }
  - { id: quota, count: executions, per: [subject.owner], max: 25, window: 1d, over: review, actions: [item.flag] }
`

export function policyInForce(): Policy {
  const loaded = loadPolicy(POLICY_TEXT, 'kill-loop.yaml')
  if (loaded.kind === 'problems') throw new Error('the policy of the kill loop has problems')
  return loaded.policy
}
