import type { Fault } from '../processor/fault.ts'
import type { Observation, ObserveRange, Position, StateRefusal } from '../processor/ports.ts'
import type { Answer } from './connection.ts'
import type { Segment } from './segment.ts'

/** Whose state it is, and what it is called. */
type Deployment = { readonly topic: string; readonly group: string; readonly deployment: string }

/** How one partition is acquired: see `acquire` in sluice.lua. */
export type Claim = {
  readonly partition: number
  readonly position: Position
  readonly needed: number
  readonly reserved: number
}

export const claimArgs = ({ partition, position, needed, reserved }: Claim): string[] => [
  String(partition),
  position.committed === null ? '' : String(position.committed),
  String(position.start),
  String(needed),
  String(reserved),
  position.isSetByHand === true ? '1' : '0',
]

export const ownerOf = ({ group, topic }: Deployment): string => `group ${group} on topic ${topic}`

export function foreign(owner: string, config: Deployment): Fault {
  const detail =
    `this deployment’s state in Redis belongs to ${owner}, and this process decides for ${ownerOf(config)}: ` +
    'set SLUICE_DEPLOYMENT to a name of its own, since two groups would take the state from each other for ever; ' +
    `if that group is gone for good, say so with \`redis-cli HDEL '{${config.deployment}}:state' owner\``
  return { code: 'state.unavailable', detail, retry: true }
}

/** Whose range it is. */
export type Owner = Pick<ObserveRange, 'partition' | 'token'>

export function rangeArgs(
  owner: Owner & { readonly committed: number },
  segment: Segment | undefined,
  mode: 'answer' | 'quiet',
): (string | Buffer)[] {
  if (segment === undefined) return []
  const { partition, token, committed } = owner
  const { from, next, bytes } = segment
  return [String(partition), String(token), String(from), String(next), String(committed), mode, bytes]
}

const UNPROVEN: Fault = {
  code: 'state.unavailable',
  detail: 'not every partition’s owner has told this Redis what it knows, so it may lack places that were taken',
  retry: true,
}

type Texts = { readonly kind: 'ok'; readonly all: readonly string[] } | StateRefusal

export function textsOf(answer: Answer): Texts {
  if (answer.kind === 'unavailable') return answer
  const [kind = '', ...all] = answer.reply as readonly string[]
  if (kind === 'unproven') return { kind: 'unavailable', fault: UNPROVEN }
  return kind === 'fenced' ? { kind, partition: Number(all[0]) } : { kind: 'ok', all }
}

/** What was read, or a fault where something else than this library has written to our keys. */
export function readable<T>(read: () => T): T | StateRefusal {
  try {
    return read()
  } catch (cause) {
    const detail = 'Redis holds facts that cannot be read; somebody else has written to this deployment’s keys'
    return { kind: 'unavailable', fault: { code: 'state.unavailable', detail, retry: true, cause } }
  }
}

/** Null when an answer is missing: state holds the offset committed, so this call comes from a past it has left. */
export function zip<T>(
  asked: readonly { readonly offset: number }[],
  answers: readonly (T | null)[],
): Map<number, T> | null {
  const byOffset = new Map<number, T>()
  let at = 0
  for (const { offset } of asked) {
    const answer = answers[at++]
    if (answer === undefined || answer === null) return null
    byOffset.set(offset, answer)
  }
  return byOffset
}

/** As the last of them says. */
export const isLost = (byOffset: ReadonlyMap<number, Observation>): boolean =>
  [...byOffset.values()].at(-1)?.lost ?? false

/** Redis takes whole milliseconds; rounded up, so that nothing is forgotten early. */
export const wholeMs = (ms: number): string => String(Math.max(0, Math.ceil(ms)))
