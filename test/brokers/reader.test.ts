import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { Cluster } from '../../src/kafka/cluster.ts'
import { readGroup } from '../../src/kafka/group-reader.ts'
import { findVerdict, LogLookup } from '../../src/kafka/lookup.ts'
import { followTopic } from '../../src/kafka/follow.ts'
import type { FollowOptions } from '../../src/kafka/follow.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { LogReader } from '../../src/kafka/reader.ts'
import type { ReaderLimits, Slice } from '../../src/kafka/reader.ts'
import { eventually, numbered, plain, Scene } from './support/kafka-scene.ts'

const { brokers } = inject('stack')
const scene = new Scene(brokers)

afterAll(() => scene.close())

/** What our reader shows of a topic, in order of partition and offset. */
async function shown(
  topic: string,
  limits: Partial<ReaderLimits> = {},
  from: FollowOptions['from'] = 'beginning',
): Promise<readonly string[]> {
  const seen: { readonly at: number; readonly text: string }[] = []
  const stop = new AbortController()
  const following = followTopic(plain(brokers), topic, {
    onRecord: ({ partition, offset, value }) => {
      seen.push({ at: partition * 1e9 + offset, text: `${partition} ${offset} ${value?.toString() ?? ''}` })
    },
    signal: stop.signal,
    limits,
    from,
  })
  await following.caughtUp
  stop.abort()
  await following.ended
  return seen.sort((a, b) => a.at - b.at).map((it) => it.text)
}

const seenByKcat = async (topic: string): Promise<readonly string[]> =>
  (await scene.visible(topic)).map(({ partition, offset, value }) => `${partition} ${offset} ${value}`)

describe('an aborted record is never shown', () => {
  /** Each is a way in which a known client shows records that it should not. */
  const scenes: Record<string, (topic: string) => Promise<readonly string[]>> = {
    'overlapping transactions, aborted in reverse order': async (topic) => {
      const [first, second] = [await scene.writer(scene.unique('w')), await scene.writer(scene.unique('w'))]
      await first.write(topic, 0, ['aborted 1'])
      await second.write(topic, 0, ['aborted 2'])
      await scene.put(topic, 0, ['plain'])
      await second.abort()
      await first.write(topic, 0, ['aborted 3'])
      await second.write(topic, 0, ['committed'])
      await first.abort()
      await second.commit()
      return ['plain', 'committed']
    },
    'an aborted record whose key looks like an abort marker': async (topic) => {
      const writer = await scene.writer(scene.unique('w'))
      await writer.write(topic, 0, [{ key: Buffer.alloc(4), value: 'aborted 1' }, 'aborted 2'])
      await writer.write(topic, 0, ['aborted 3'])
      await writer.abort()
      await writer.write(topic, 0, ['committed'])
      await writer.commit()
      return ['committed']
    },
    'the same producer aborting twice in one response': async (topic) => {
      const writer = await scene.writer(scene.unique('w'))
      await writer.write(topic, 0, ['aborted 1'])
      await writer.abort()
      await writer.write(topic, 0, ['committed 1'])
      await writer.commit()
      await writer.write(topic, 0, ['aborted 2'])
      await writer.abort()
      await writer.write(topic, 0, ['committed 2'])
      await writer.commit()
      return ['committed 1', 'committed 2']
    },
    'a committed transaction around an aborted one': async (topic) => {
      const [outer, inner] = [await scene.writer(scene.unique('w')), await scene.writer(scene.unique('w'))]
      await outer.write(topic, 0, ['committed 1'])
      await inner.write(topic, 0, ['aborted'])
      await outer.write(topic, 0, ['committed 2'])
      await inner.abort()
      await outer.write(topic, 0, ['committed 3'])
      await outer.commit()
      return ['committed 1', 'committed 2', 'committed 3']
    },
  }

  test.each(Object.entries(scenes))('%s', async (_, play) => {
    const topic = await scene.topic(1)
    const expected = await play(topic)
    // The end of a transaction is answered before its markers are written.
    await expect.poll(() => seenByKcat(topic), { timeout: 10_000 }).toHaveLength(expected.length)
    const texts = await shown(topic)
    expect(texts.map((it) => it.split(' ').slice(2).join(' '))).toEqual(expected)
    expect(texts).toEqual(await seenByKcat(topic))
  })

  test('an aborted transaction longer than one fetch response', async () => {
    const topic = await scene.topic(1)
    const writer = await scene.writer(scene.unique('w'))
    const long = 'x'.repeat(20_000)
    await scene.put(topic, 0, ['before'])
    for (let batch = 0; batch < 10; batch++) await writer.write(topic, 0, [long, long, long])
    await writer.abort()
    await scene.put(topic, 0, ['after'])
    const small = { maxBytes: 70_000, partitionMaxBytes: 70_000 }
    expect(await shown(topic, small)).toEqual(await seenByKcat(topic))
    expect(await shown(topic, small)).toEqual(['0 0 before', '0 32 after'])
  })

  test('reading begins in the middle of several aborted transactions', async () => {
    const topic = await scene.topic(1)
    const [first, second] = [await scene.writer(scene.unique('w')), await scene.writer(scene.unique('w'))]
    for (const text of ['aborted 1', 'aborted 2']) {
      await first.write(topic, 0, [text])
      await second.write(topic, 0, [text])
    }
    await first.abort()
    await second.abort()
    await scene.put(topic, 0, ['plain'])
    // At 3 lies a record of the transaction that began second, and both have begun.
    expect(await shown(topic, {}, new Map([[0, 3]]))).toEqual(['0 6 plain'])
  })

  test('an open transaction is waited for, and shown when it is committed', async () => {
    const topic = await scene.topic(1)
    const writer = await scene.writer(scene.unique('w'))
    const seen: string[] = []
    await scene.put(topic, 0, ['before'])
    await writer.write(topic, 0, ['open'])
    await scene.put(topic, 0, ['behind'])
    const stop = new AbortController()
    const following = followTopic(plain(brokers), topic, {
      onRecord: ({ value }) => void seen.push(String(value)),
      signal: stop.signal,
    })
    await following.caughtUp
    expect(seen).toEqual(['before'])
    await writer.commit()
    await eventually(async () => expect(seen).toEqual(['before', 'open', 'behind']))
    stop.abort()
    await following.ended
  })
})

describe('a group reader', () => {
  const quick = { heartbeatMs: 100, commitMs: 10, retryMs: { first: 10, last: 50 } }

  test('hands over each committed record once, and after a stop goes on where it was', async () => {
    const topic = await scene.topic(3)
    const group = scene.unique('g')
    const seen: string[] = []
    const read = (stop: AbortController): Promise<void> =>
      readGroup(plain(brokers), {
        group,
        topics: [topic],
        handle: ({ value }) => void seen.push(String(value)),
        signal: stop.signal,
        times: quick,
      })
    for (const partition of [0, 1, 2]) await scene.put(topic, partition, numbered(50, `a${partition}-`))
    const writer = await scene.writer(scene.unique('w'))
    await writer.write(topic, 1, ['aborted'])
    await writer.abort()
    const first = new AbortController()
    const reading = read(first)
    await eventually(async () => expect(seen).toHaveLength(150))
    first.abort()
    await reading
    for (const partition of [0, 1, 2]) await scene.put(topic, partition, numbered(50, `b${partition}-`))
    const second = new AbortController()
    const again = read(second)
    await eventually(async () => expect(seen).toHaveLength(300))
    second.abort()
    await again
    expect(new Set(seen).size).toBe(300)
    expect(seen).not.toContain('aborted')
  })

  test('hands a record that could not be handled over again, and no later one before it', async () => {
    const topic = await scene.topic(2)
    const order: string[] = []
    const troubles: string[] = []
    let refusals = 3
    const stop = new AbortController()
    await scene.put(topic, 0, ['good', 'poison', 'later'])
    await scene.put(topic, 1, ['elsewhere'])
    const reading = readGroup(plain(brokers), {
      group: scene.unique('g'),
      topics: [topic],
      handle: ({ value }) => {
        if (String(value) === 'poison' && refusals-- > 0) throw new Error('not now')
        order.push(String(value))
      },
      signal: stop.signal,
      onTrouble: (error, record) => void (record === null || troubles.push(String(error))),
      times: quick,
    })
    await eventually(async () => expect(order).toHaveLength(4))
    stop.abort()
    await reading
    expect(order.filter((it) => it !== 'elsewhere')).toEqual(['good', 'poison', 'later'])
    expect(troubles).toEqual(Array.from({ length: 3 }, () => 'Error: not now'))
  })

  test('shares partitions with a member that joins, and takes them back when it leaves', async () => {
    const topic = await scene.topic(4)
    const group = scene.unique('g')
    const seen = new Map<string, string[]>([
      ['a', []],
      ['b', []],
    ])
    const read = (name: string, stop: AbortController): Promise<void> =>
      readGroup(plain(brokers), {
        group,
        topics: [topic],
        handle: ({ value }) => void seen.get(name)?.push(String(value)),
        signal: stop.signal,
        times: quick,
      })
    const [stopA, stopB] = [new AbortController(), new AbortController()]
    const a = read('a', stopA)
    const b = read('b', stopB)
    let round = 0
    /** Writes one record to each partition until the members have what `settled` says. */
    const until = (settled: (shares: readonly number[]) => boolean): Promise<void> =>
      eventually(async () => {
        const texts = [0, 1, 2, 3].map((partition) => `${round}-${partition}`)
        round++
        for (const [partition, text] of texts.entries()) await scene.put(topic, partition, [text])
        await eventually(async () => expect(texts.every((it) => [...seen.values()].flat().includes(it))).toBe(true))
        const shares = ['a', 'b'].map((name) => texts.filter((it) => seen.get(name)?.includes(it)).length)
        expect(settled(shares)).toBe(true)
      }, 20_000)
    await until(([inA, inB]) => inA === 2 && inB === 2)
    stopB.abort()
    await b
    await until(([inA]) => inA === 4)
    stopA.abort()
    await a
    const all = [...seen.values()].flat()
    expect(new Set(all).size).toBe(round * 4)
    expect(all).toHaveLength(round * 4)
  })
})

test('what is at its end is waited for no more, so that the others do not wait with it', async () => {
  const topic = await scene.topic(2)
  await scene.put(topic, 0, numbered(3))
  for (let round = 0; round < 4; round++) await scene.put(topic, 1, numbered(5))
  const cluster = new Cluster(plain(brokers), { connectTimeoutMs: 3_000, requestTimeoutMs: 10_000 })
  await cluster.refresh([topic])
  const seen: string[] = []
  const accept = async ({ partition, records }: Slice): Promise<void> => {
    for (const { offset } of records) seen.push(`${partition} ${offset}`)
    // Not at once, so that meanwhile the other partition is all there is to ask for.
    await sleep(20)
  }
  const limits = { maxWaitMs: 600_000, partitionMaxBytes: 1 }
  const reader = new LogReader(cluster, { accept, trouble: () => undefined }, limits)
  reader.add({ topic, partition: 0, offset: 0 }, 2)
  reader.add({ topic, partition: 1, offset: 0 }, 18)
  await reader.run()
  cluster.close()
  const expected = [
    ...Array.from({ length: 2 }, (_, offset) => `0 ${offset}`),
    ...Array.from({ length: 18 }, (_, offset) => `1 ${offset}`),
  ]
  expect(seen.sort()).toEqual(expected.sort())
})

describe('a lookup', () => {
  test('reads the record at an offset, and nothing where it may not be shown', async () => {
    const topic = await scene.topic(2)
    const writer = await scene.writer(scene.unique('w'))
    await scene.put(topic, 1, ['zero', 'one'])
    await writer.write(topic, 1, ['aborted'])
    await writer.abort()
    await scene.put(topic, 1, ['four'])
    const lookup = new LogLookup(plain(brokers))
    const textAt = async (offset: number): Promise<string | null> => {
      const record = await lookup.read({ topic, partition: 1, offset })
      return record === null ? null : String(record.value)
    }
    const texts = []
    for (const offset of [0, 1, 2, 3, 4, 5, 99]) texts.push(await textAt(offset))
    lookup.close()
    expect(texts).toEqual(['zero', 'one', null, null, 'four', null, null])
  })

  test('finds a verdict by its id in the partition of its event, from the event’s time on', async () => {
    const topics = [await scene.topic(3), await scene.topic(3)]
    const producer = new Producer(plain(brokers))
    const verdict = (topic: string, partition: number, id: string, timestamp: number) => ({
      topic,
      partition,
      key: null,
      value: Buffer.from(`${id} in ${topic}`),
      timestamp,
      headers: [['ce_id', id]] as const,
    })
    const now = 1_790_000_000_000
    await producer.send([
      verdict(topics[0]!, 2, 'model.outputs:2:7', now - 7_200_000),
      verdict(topics[0]!, 2, 'model.outputs:2:8', now),
      verdict(topics[1]!, 2, 'model.outputs:2:9', now + 5),
      verdict(topics[1]!, 1, 'model.outputs:1:9', now + 5),
    ])
    await producer.close()
    const lookup = new LogLookup(plain(brokers))
    const find = async (partition: number, offset: number, eventTime: number | null): Promise<string | null> => {
      const decisionId = `model.outputs:${partition}:${offset}`
      const record = await findVerdict(lookup, topics, { decisionId, partition, eventTime })
      return record === null ? null : String(record.value)
    }
    expect(await find(2, 9, now)).toBe(`model.outputs:2:9 in ${topics[1]}`)
    expect(await find(2, 8, now)).toBe(`model.outputs:2:8 in ${topics[0]}`)
    expect(await find(2, 7, null)).toBe(`model.outputs:2:7 in ${topics[0]}`)
    expect(await find(2, 7, now)).toBeNull()
    expect(await find(2, 10, now)).toBeNull()
    lookup.close()
  })

  test('reads a small topic whole, tells how far a search is, and ends when told to', async () => {
    const topic = await scene.topic(2)
    await scene.put(topic, 0, numbered(5))
    await scene.put(topic, 1, numbered(3))
    const lookup = new LogLookup(plain(brokers))
    const progress: number[] = []
    const all = await lookup.all(topic, { onProgress: ({ done }) => void progress.push(done) })
    expect(all).toHaveLength(8)
    expect(progress.at(-1)).toBe(8)
    const reason = new Error('enough')
    await expect(lookup.all(topic, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    lookup.close()
  })

  test('says which topic is not there', async () => {
    const lookup = new LogLookup(plain(brokers))
    await expect(lookup.all('no-such-topic')).rejects.toThrow('topic no-such-topic: UNKNOWN_TOPIC_OR_PARTITION')
    lookup.close()
  })
})
