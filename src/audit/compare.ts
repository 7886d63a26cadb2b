import { isDeepStrictEqual } from 'node:util'
import { recompute } from '../decision/recompute.ts'
import type { Answer, InputEvent, VerdictAnswer } from './answer.ts'

/** What is wrong with an answer by itself: a sentence, or null. `null` too where its rulebook is not known. */
export function flawOf(answer: Answer): string | null {
  if (answer.kind === 'unreadable') return `it cannot be read: ${answer.why}`
  if (answer.kind === 'deadLetter') return null
  const { verdict, route, timestamp, rulebook } = answer
  if (verdict.route !== route) return `its route is ${verdict.route}, and it lies in the topic for ${route}`
  if (verdict.facts.now !== timestamp) return 'its record bears another time than its facts'
  if (rulebook === null) return null
  const { equal, differences } = recompute(verdict, rulebook.policy, rulebook.calibration, rulebook.certificates)
  return equal ? null : `decided again from its record, these fields differ: ${differences.join(', ')}`
}

/** Where an answer and the event it answers disagree: a sentence, or null. */
export function contradiction(answer: Answer, input: InputEvent): string | null {
  if (answer.kind === 'unreadable') return null
  if (answer.kind === 'verdict') return verdictContradiction(answer, input)
  return answer.valueDigest === input.valueDigest ? null : 'the dead letter’s bytes are not the event’s'
}

function verdictContradiction({ verdict: { event, source } }: VerdictAnswer, input: InputEvent): string | null {
  if (input.event === null) return 'the event cannot be read, and has a verdict all the same'
  if (!isDeepStrictEqual(event, input.event)) return 'the event in it is not the event that lies in the input'
  if (source.digest !== input.bodyDigest) return 'the digest of its event is not that of the event in the input'
  if (source.timestamp !== input.timestamp || source.keyed !== input.keyed)
    return 'time or key of its event are not those of the event in the input'
  return null
}
