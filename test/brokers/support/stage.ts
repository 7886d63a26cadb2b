import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { startKafka } from '../../../deploy/local/kafka.ts'
import type { KafkaOptions, LocalKafka } from '../../../deploy/local/kafka.ts'
import { openProxy } from './broker-proxy.ts'
import type { BrokerProxy } from './broker-proxy.ts'
import { BROKER_PROPERTIES, eventually, numbered, Scene } from './kafka-scene.ts'

/** An input with records, an output beside it, and who is to read it. */
export type Play = { readonly input: string; readonly to: string; readonly group: string; readonly slot: string }

/** The brokers of one test file, with a proxy before them; KAFKA_VERSION chooses another version than the newest. */
export class Stage {
  kafka!: LocalKafka
  scene!: Scene
  proxy!: BrokerProxy

  async open(options: KafkaOptions): Promise<void> {
    const version = process.env['KAFKA_VERSION']
    this.kafka = await startKafka({
      ...(version === undefined ? {} : { version }),
      properties: BROKER_PROPERTIES,
      ...options,
    })
    this.scene = new Scene(this.kafka.brokers)
    this.proxy = await openProxy(this.kafka.brokers)
  }

  async close(): Promise<void> {
    await this.scene?.close()
    await this.proxy?.close()
    await this.kafka?.stop()
  }

  /** `count` records over all partitions of the input, named so that partition and order can be told. */
  async play(partitions: number, count: number, replicas = 1, outputReplicas = replicas): Promise<Play> {
    const input = await this.scene.topic(partitions, replicas)
    const to = await this.scene.topic(partitions, outputReplicas)
    for (let partition = 0; partition < partitions; partition++) {
      await this.scene.put(input, partition, numbered(count / partitions, `p${partition}-`))
    }
    return { input, to, group: this.scene.unique('g'), slot: 's1' }
  }

  /** Every record of the input once, in its partition's order, as kcat sees it. */
  async expectAll(to: string, partitions: number, count: number): Promise<void> {
    const seen = await eventually(() => this.scene.visible(to))
    const expected = Array.from({ length: partitions }, (_, partition) =>
      numbered(count / partitions, `p${partition}-`).map((value) => ({ partition, value })),
    )
    expect(seen.map(({ partition, value }) => ({ partition, value }))).toEqual(expected.flat())
  }
}

/** Opens a stage for the tests of this file. */
export function openStage(options: KafkaOptions = {}): Stage {
  const stage = new Stage()
  beforeAll(() => stage.open(options))
  afterEach(async () => {
    stage.proxy.clear()
    await stage.scene.closeLogs()
  })
  afterAll(() => stage.close())
  return stage
}

export const never = new AbortController().signal
export const within = (ms: number): AbortSignal => AbortSignal.timeout(ms)
