import type { Fault } from './processor/fault.ts'
import type { RebuildStatus } from './processor/rebuild.ts'
import type { LogStatus } from './kafka/decision-log.ts'
import type { Part } from './telemetry/http.ts'

/** A stall is told of again and again while it lasts; silence for so long means it is over, milliseconds. */
const STALLED_MS = 5000

/** What the process stands on right now, for /readyz: `missing` stops decisions, `degraded` sends some to review. */
export class Health {
  kafka: Part = { name: 'kafka', state: 'missing', detail: 'not connected yet' }
  registry: Part = { name: 'registry', state: 'missing', detail: 'schema ids are not known yet' }
  control: Part = { name: 'control', state: 'missing', detail: 'standing orders are not read yet' }
  #state: Part = WHOLE
  started = false
  #stalled: { readonly text: string; readonly all: boolean; readonly at: number } | null = null
  #registryTrouble: () => string | null = () => null

  schemasKnown(trouble: () => string | null): void {
    this.registry = { name: 'registry', state: 'ok', detail: 'schema ids are known' }
    this.#registryTrouble = trouble
  }

  logStatus(status: LogStatus, now: number): void {
    if (status.kind === 'stalled') this.#stalled = { text: status.text, all: status.partition === null, at: now }
    if (status.kind === 'waiting') this.kafka = { name: 'kafka', state: 'missing', detail: status.text }
    if (status.kind !== 'acquired') return
    this.started = true
    this.#stalled = null
    this.kafka = { name: 'kafka', state: 'ok', detail: status.text }
  }

  rebuildStatus(status: RebuildStatus): void {
    this.#state = statePart(status)
  }

  parts(redisTrouble: Fault | null, now: number): readonly Part[] {
    return [this.#kafkaNow(now), this.#registryNow(), redisPart(redisTrouble), this.#state, this.control]
  }

  /** A partition that stalls leaves the others running, so only all of them make Kafka missing. */
  #kafkaNow(now: number): Part {
    const stalled = this.#stalled
    if (stalled === null || now - stalled.at > STALLED_MS || this.kafka.state !== 'ok') return this.kafka
    return { name: 'kafka', state: stalled.all ? 'missing' : 'degraded', detail: stalled.text }
  }

  #registryNow(): Part {
    const trouble = this.#registryTrouble()
    if (this.registry.state !== 'ok' || trouble === null) return this.registry
    return { name: 'registry', state: 'degraded', detail: `known schemas go on, new ones wait: ${trouble}` }
  }
}

const redisPart = (trouble: Fault | null): Part =>
  trouble === null
    ? { name: 'redis', state: 'ok', detail: 'answers' }
    : { name: 'redis', state: 'degraded', detail: `decisions that need state go to review: ${trouble.detail}` }

const WHOLE: Part = { name: 'state', state: 'ok', detail: 'nothing is missing' }

function statePart(status: RebuildStatus): Part {
  if (status.kind === 'whole' || status.kind === 'rebuilt') return WHOLE
  if (status.kind === 'unproven')
    return { name: 'state', state: 'degraded', detail: `decisions that need state go to review: ${status.why}` }
  const how =
    status.kind === 'waiting'
      ? `its rebuild waits: ${status.why}`
      : `it is rebuilt from the verdicts, ${Math.floor(status.progress * 100)} % done`
  return { name: 'state', state: 'degraded', detail: `state was lost, decisions that need it go to review; ${how}` }
}
