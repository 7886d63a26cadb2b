import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/commands/demo/random.ts'
import { openRedis } from '../../src/redis/open.ts'
import { clockedLibrary } from '../redis/real-subject.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { AttemptLedger } from '../twins/redis/attempts.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
  await server.admin.function('LOAD', 'REPLACE', clockedLibrary.code)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('attempts at partitions', () => {
  const config = { topic: 'model.outputs', group: 'g' }

  test('a process that died with records in hand is remembered by the next, and one that ended in order is not', async () => {
    const open = () => openRedis({ ...config, url: server.url, deployment: 'attempts' })
    const [first, second, third, fourth] = await Promise.all([open(), open(), open(), open()])
    const starts = new Map([
      [0, 5],
      [1, 7],
    ])
    expect(await first.attempts.begin(starts)).toEqual(new Map())
    await first.attempts.end([1])
    expect(await second.attempts.begin(starts)).toEqual(new Map([[0, { start: 5, deaths: 1, until: 0 }]]))
    await second.attempts.reading([{ partition: 0, from: 5, next: 9 }])
    // One that was taken for dead changes nothing any more.
    await first.attempts.reading([{ partition: 0, from: 5, next: 99 }])
    await first.attempts.end([0, 1])
    const died = await third.attempts.begin(new Map([[0, 5]]))
    expect(died).toEqual(new Map([[0, { start: 5, deaths: 2, until: 9 }]]))
    await third.attempts.reading([{ partition: 0, from: 6, next: 7 }])
    const condemned = await fourth.attempts.begin(new Map([[0, 6]]))
    expect(condemned).toEqual(new Map([[0, { start: 6, deaths: 3, until: 9 }]]))
    expect(await fourth.attempts.begin(new Map([[0, 9]]))).toEqual(new Map())
    for (const it of [first, second, third, fourth]) it.close()
  })

  test('without Redis nothing is suspected, and nothing waits', async () => {
    const away = await openRedis({ ...config, url: 'redis://127.0.0.1:1', deployment: 'attempts' })
    expect(await away.attempts.begin(new Map([[0, 5]]))).toEqual(new Map())
    await away.attempts.reading([{ partition: 0, from: 5, next: 9 }])
    await away.attempts.end([0])
    away.close()
  })

  test('twenty thousand calls are answered alike by Redis and the twin', async () => {
    const replies = new Map<string, number>()
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed)
      const below = (sides: number): number => Math.floor(random() * sides)
      const twin = new AttemptLedger()
      const both = async (name: string, args: readonly string[]): Promise<void> => {
        const key = `{a${seed}}:state`
        const answer = await server.admin.fcall(`sluice_${clockedLibrary.version}_${name}`, 1, key, ...args)
        expect(twin.call(name, args)).toEqual(answer)
        const kind = `${name} ${Array.isArray(answer) ? answer[0] : answer}`
        replies.set(kind, (replies.get(kind) ?? 0) + 1)
      }
      const committed = [0, 0]
      for (let step = 0; step < 500; step++) {
        const [run, partition] = [`run ${below(3)}`, below(2)]
        const start = committed[partition] ?? 0
        const dice = random()
        if (dice < 0.4) await both('begin_attempts', [run, String(partition), String(start)])
        else if (dice < 0.8)
          await both('begin_reading', [run, String(partition), String(start), String(start + below(6))])
        else if (dice < 0.85) await both('end_attempts', [run, '0', '1'])
        else committed[partition] = below(12) === 0 ? Math.max(0, start - 3) : start + below(3)
      }
    }
    expect(
      Math.min(...['0', '1', '2', '3'].map((deaths) => replies.get(`begin_attempts ${deaths}`) ?? 0)),
    ).toBeGreaterThan(50)
  })
})
