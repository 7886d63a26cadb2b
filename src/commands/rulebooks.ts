import { NO_CALIBRATION } from '../decision/calibration.ts'
import type { Policy } from '../decision/policy.ts'
import type { LogLookup } from '../kafka/lookup.ts'
import { loadCalibration } from '../policy/calibration-file.ts'
import { loadPolicy } from '../policy/load-policy.ts'
import { formatProblem } from '../policy/problem.ts'
import type { Rulebook } from '../processor/ports.ts'

/** What a verdict says it was made with. */
export type RulebookRef = { readonly digest: string; readonly calibration: string | null }

export type FoundRulebook =
  | { readonly kind: 'found'; readonly rulebook: Rulebook }
  | { readonly kind: 'missing'; readonly why: string }

/** Fetches the texts by their digests from the topic of policies and compiles them as they were. */
export async function findRulebook(lookup: LogLookup, topic: string, ref: RulebookRef): Promise<FoundRulebook> {
  const texts = new Map<string, string>()
  for (const { key, value } of await lookup.all(topic)) {
    if (key !== null && value !== null) texts.set(key.toString('utf8'), value.toString('utf8'))
  }
  const policyText = texts.get(ref.digest)
  if (policyText === undefined) return { kind: 'missing', why: `policy ${ref.digest} is not in ${topic}` }
  const policy = loadPolicy(policyText, `${topic}/${ref.digest}`)
  if (policy.kind === 'problems') return { kind: 'missing', why: policy.problems.map(formatProblem).join('\n') }
  if (ref.calibration === null) {
    return { kind: 'found', rulebook: { policy: policy.policy, calibration: NO_CALIBRATION } }
  }
  const tables = texts.get(ref.calibration)
  if (tables === undefined) return { kind: 'missing', why: `calibration ${ref.calibration} is not in ${topic}` }
  const calibration = loadCalibration(tables, `${topic}/${ref.calibration}`)
  if (calibration.kind === 'problems')
    return { kind: 'missing', why: calibration.problems.map(formatProblem).join('\n') }
  return { kind: 'found', rulebook: { policy: policy.policy, calibration: calibration.calibration } }
}

/** The policy whose text was published last, which is the one in force or about to be; null where there is none. */
export async function newestPolicy(lookup: LogLookup, topic: string): Promise<Policy | null> {
  const texts = (await lookup.all(topic)).filter(({ headers }) => String(headers.get('sluice.kind')) === 'policy')
  const newest = texts.at(-1)?.value?.toString('utf8')
  const loaded = newest === undefined ? null : loadPolicy(newest, topic)
  return loaded?.kind === 'policy' ? loaded.policy : null
}
