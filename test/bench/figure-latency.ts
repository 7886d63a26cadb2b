import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaConnection } from '../../src/connections.ts'
import type { Config } from '../../src/config.ts'
import { followTopic } from '../../src/kafka/follow.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { ToSend } from '../../src/kafka/producer.ts'
import type { Slice } from '../../src/kafka/reader.ts'
import { benchEvents } from './events.ts'
import { figure, most, percentile } from './figure.ts'
import type { Measured } from './figure.ts'
import { startProcessor } from './processor.ts'
import { recordWriter, writeContexts } from './scene.ts'
import type { Deployment, Scene } from './scene.ts'

const PER_SECOND = 1000
const WARM_S = 10
const RUN_S = 15
const TICK_MS = 2
/** After the last event of a run, for its verdict. */
const PATIENCE_MS = 10_000

/**
 * Open loop: events are due at their pace whatever the answers do, and each one's time counts from when it was due until
 * a read_committed reader has its verdict, so the producer's way and any backlog are in it.
 */
export async function latencyFigures(scene: Scene): Promise<readonly Measured[]> {
  await using open = new AsyncDisposableStack()
  const deployment = await scene.deployment(`paced.${Date.now().toString(36)}`)
  open.defer(() => deployment.remove())
  await writeContexts(deployment.config)
  const processor = await startProcessor(deployment)
  open.defer(() => processor.stop())
  const answers = new Answers()
  await readVerdicts(deployment, answers, open)
  const producer = new Producer(kafkaConnection(deployment.config))
  open.defer(() => producer.close())
  const records = await eventRecords(deployment.config)
  const [p50, p99, cpu]: [number[], number[], number[]] = [[], [], []]
  await runPaced(producer, records, answers, WARM_S)
  for (let run = 0; run < scene.runs; run++) {
    const before = await processor.cpuUs()
    const times = await runPaced(producer, records, answers, RUN_S)
    cpu.push(((await processor.cpuUs()) - before) / times.length)
    p50.push(percentile(times, 0.5))
    p99.push(percentile(times, 0.99))
    scene.log(`  latency: p50 ${p50.at(-1)?.toFixed(1)} ms, p99 ${p99.at(-1)?.toFixed(1)} ms`)
  }
  const note = `from produce to visible verdict; ${(RUN_S * PER_SECOND).toLocaleString('en')} events a run, open loop`
  return [
    figure(`at ${PER_SECOND} events/s: p50`, 'ms', p50, most(25), note),
    figure(`at ${PER_SECOND} events/s: p99`, 'ms', p99, most(75)),
    figure(`at ${PER_SECOND} events/s`, 'µs CPU/event', cpu),
  ]
}

/** When each event was due and when its verdict was seen, by the event's place in the input. */
class Answers {
  #due = new Map<string, number>()
  readonly #seen = new Map<string, number>()
  readonly #times: number[] = []

  sent(place: string, due: number): void {
    const seen = this.#seen.get(place)
    if (seen === undefined) this.#due.set(place, due)
    else {
      this.#seen.delete(place)
      this.#times.push(seen - due)
    }
  }

  seen(place: string, at: number): void {
    const due = this.#due.get(place)
    if (due === undefined) this.#seen.set(place, at)
    else {
      this.#due.delete(place)
      this.#times.push(at - due)
    }
  }

  get count(): number {
    return this.#times.length
  }

  take(): readonly number[] {
    return this.#times.splice(0)
  }
}

async function readVerdicts({ config }: Deployment, answers: Answers, open: AsyncDisposableStack): Promise<void> {
  const stop = new AbortController()
  open.defer(() => stop.abort())
  const onSlice = ({ records }: Slice): void => {
    const at = performance.now()
    for (const { headers } of records) answers.seen(placeOf(headers.get('ce_id')), at)
  }
  const topics = [config.TOPIC_EXECUTE, config.TOPIC_REVIEW, config.TOPIC_REJECT]
  const following = topics.map((topic) =>
    followTopic(kafkaConnection(config), topic, { onSlice, from: 'end', signal: stop.signal }),
  )
  await Promise.all(following.map(({ caughtUp }) => caughtUp))
}

/** A decision's id is topic:partition:offset. */
const placeOf = (id: Uint8Array | undefined): string =>
  id === undefined ? '' : Buffer.from(id).toString('latin1').split(':').slice(-2).join(':')

async function eventRecords(config: Config): Promise<() => ToSend> {
  const write = await recordWriter(config)
  const events = benchEvents(Date.now() % 1_000_000, Date.now())
  return () => write({ ...events.next().value, time: Date.now() })
}

async function runPaced(
  producer: Producer,
  record: () => ToSend,
  answers: Answers,
  seconds: number,
): Promise<readonly number[]> {
  const count = seconds * PER_SECOND
  const start = performance.now()
  const sending: Promise<void>[] = []
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, Math.floor(((performance.now() - start) / 1000) * PER_SECOND))
    if (due > sent) sending.push(sendSome(producer, record, answers, start, sent, due))
    sent = Math.max(sent, due)
    await sleep(TICK_MS)
  }
  await Promise.all(sending)
  for (const until = Date.now() + PATIENCE_MS; answers.count < count && Date.now() < until;) await sleep(20)
  if (answers.count < count) throw new Error(`${count - answers.count} of ${count} events have no verdict`)
  return answers.take()
}

async function sendSome(
  producer: Producer,
  record: () => ToSend,
  answers: Answers,
  start: number,
  from: number,
  to: number,
): Promise<void> {
  const placed = await producer.send(Array.from({ length: to - from }, record))
  for (const [at, { partition, offset }] of placed.entries()) {
    answers.sent(`${partition}:${offset}`, start + ((from + at) / PER_SECOND) * 1000)
  }
}
