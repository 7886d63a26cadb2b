import { expect, test } from 'vitest'
import { openDecisionLog } from '../../src/kafka/decision-log.ts'
import type { KafkaDecisionLog } from '../../src/kafka/decision-log.ts'
import { KafkaTwin } from '../twins/kafka/kafka-twin.ts'
import { connectTwin } from '../twins/kafka/twin-connection.ts'

/** The driver over brokers in memory, in real time. */
class Scene {
  readonly twin: KafkaTwin
  readonly #open: KafkaDecisionLog[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(partitions = 1, brokers = 1) {
    this.twin = new KafkaTwin({
      brokers,
      topics: { in: partitions, out: partitions },
      now: () => performance.now(),
      random: () => 0.5,
    })
  }

  readonly pump = (): void => {
    this.twin.advance()
    clearTimeout(this.#timer)
    const due = this.twin.nextDue()
    if (due !== null) this.#timer = setTimeout(this.pump, Math.max(0, due - performance.now()))
  }

  log(slot: string): KafkaDecisionLog {
    const connection = {
      brokers: this.twin.addresses,
      clientId: slot,
      ssl: null,
      sasl: null,
      connect: connectTwin(this.twin, this.pump),
    }
    const log = openDecisionLog({
      connection,
      group: 'g',
      slot,
      input: 'in',
      sessionTimeoutMs: 1_500,
      rebalanceTimeoutMs: 2_000,
      heartbeatMs: 100,
      requestTimeoutMs: 1_000,
      connectTimeoutMs: 1_000,
      fetchMaxWaitMs: 100,
    })
    this.#open.push(log)
    return log
  }

  put(partition: number, count: number): void {
    const records = Array.from({ length: count }, (_, index) => ({
      key: null,
      value: Buffer.from(`p${partition}-${index}`),
      timestamp: 1_700_000_000_000 + index,
      headers: [],
    }))
    this.twin.append('in', partition, records)
    this.pump()
  }

  visible(partition: number): readonly string[] {
    return this.twin.visible('out', partition).map(({ value }) => String(value))
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((log) => log.close()))
    clearTimeout(this.#timer)
  }
}

test('the driver over brokers in memory: every record once, in order, with its offset', async () => {
  const scene = new Scene(2)
  scene.put(0, 20)
  scene.put(1, 20)
  const log = scene.log('a')
  const never = new AbortController().signal
  const assignment = await log.acquire(never)
  expect(assignment.positions.size).toBe(2)
  for (let done = 0; done < 40;) {
    const batches = await log.poll(assignment, 7, 200)
    const outputs = batches.flatMap(({ partition, records }) =>
      records.map(({ key, value, timestamp }) => ({ topic: 'out', partition, key, value, timestamp, headers: [] })),
    )
    done += outputs.length
    const result = await log.commit(
      outputs,
      new Map(batches.map(({ partition, next }) => [partition, next])),
      assignment,
    )
    expect(result).toEqual({ kind: 'committed' })
  }
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(scene.visible(0)).toEqual(Array.from({ length: 20 }, (_, index) => `p0-${index}`))
  expect(scene.twin.committed('g', 'in', 1)).toBe(20)
  await scene.close()
})
