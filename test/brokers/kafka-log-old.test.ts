import { expect, test } from 'vitest'
import { pump, statuses } from './support/kafka-scene.ts'
import { openStage, within } from './support/stage.ts'

/** The whole suite runs on it with KAFKA_VERSION=3.9.1; this much always does. */
const stage = openStage({ version: '3.9.1' })

test('Kafka 3.9: everything once and in order, over a restart and a dead slot’s open transaction', async () => {
  const { input, to, group, slot } = await stage.play(2, 400)
  const dead = await stage.scene.writer(`${group}/dead`)
  await dead.write(to, 1, ['never ended'])
  const { list, onStatus } = statuses()
  const first = stage.scene.log({ input, group, slot, onStatus })
  expect(await pump(first, to, 200, 20)).toEqual([])
  const second = stage.scene.log({ input, group, slot })
  expect(await pump(second, to, 400, 20, within(10_000))).toEqual([])
  expect(list.filter(({ kind }) => kind === 'ended')).toMatchObject([{ slot: 'dead' }])
  await stage.expectAll(to, 2, 400)
})
