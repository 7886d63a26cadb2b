import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { ModelOutput } from '../../src/decision/event.ts'
import { RulebookArchive } from '../../src/rulebook-archive.ts'
import { recompute } from '../../src/decision/recompute.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { endInOrder, endProcesses, runCli } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { until } from './support/until.ts'

/** Why was this decided, asked on the command line. */

let it: Deployment
let processor: ProcessorProcess
let low: ModelOutput
let at: string

beforeAll(async () => {
  it = await deploy(inject('stack'))
  processor = it.start()
  await processor.untilReady()
  low = event({ confidence: 0.41 })
  const sent = await it.send([...many(50), low, ...many(50)])
  await it.answers.all(sent)
  at = sent[50]!
})
afterAll(async () => {
  await endProcesses()
  await it.close()
})

const explain = (...args: readonly string[]) => runCli(['explain', ...args], it.env())
const SAME = 'Decided again from this record: the same verdict.'

test('by decision id: what, why, what would have changed it, and that deciding again gives the same', async () => {
  const { code, stdout, stderr } = await explain(at)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`Decision ${at}: item.flag goes to review, confidence.below_execute`)
  expect(stdout).toContain('the score 0.41 is below 0.6')
  expect(stdout).toContain(SAME)
})

test('by event id, by place, and by the verdict’s own place: the same words', async () => {
  const [topic, partition, offset] = at.split(':')
  const words = (await explain(at)).stdout
  expect((await explain('--event', low.id)).stdout).toBe(words)
  expect((await explain('--topic', topic!, '--partition', partition!, '--offset', offset!)).stdout).toBe(words)
  const first = await explain(`${it.topics.review}:${partition}:0`)
  expect(first.stdout).toBe(words)
})

test('as JSON: the whole verdict, with what JSON cannot say as text', async () => {
  const odd = event({ confidence: NaN, payload: Buffer.from([1, 2]) })
  const [place] = await it.send([odd])
  await it.answers.of(place!)
  const { code, stdout } = await explain(place!, '--json')
  expect(code).toBe(0)
  const { verdict, recomputed } = JSON.parse(stdout) as { verdict: object; recomputed: object }
  expect(recomputed).toMatchObject({ equal: true })
  expect(verdict).toMatchObject({
    decisionId: place,
    code: 'confidence.invalid',
    event: { id: odd.id, confidence: 'NaN', payload: 'AQI=' },
  })
})

test('every kind of verdict is decided again to the same', async () => {
  const twice = event()
  const sent = await it.send([
    event({ action: 'item.sell' }),
    event({ action: 'nothing.known' }),
    event({ confidence: null }),
    event({ confidence: -0 }),
    event({ expiresAt: 1 }),
    event({ time: Date.now() + 9_000_000 }),
    twice,
    twice,
    { ...twice, confidence: 1 },
  ])
  const verdicts = await Promise.all(sent.map((place) => it.answers.verdict(place)))
  expect(new Set(verdicts.map(({ code }) => code)).size).toBe(sent.length)
  const lookup = new LogLookup(it.connection)
  const archive = new RulebookArchive(it.topics.policies, (topic) => lookup.all(topic))
  const found = await archive.find(verdicts[0]!.policy)
  lookup.close()
  if (found.kind === 'missing') throw new Error(found.why)
  const { policy, calibration, certificates } = found.rulebook
  for (const verdict of verdicts)
    expect(recompute(verdict, policy, calibration, certificates), verdict.code).toMatchObject({ equal: true })
})

test('a dead letter: its code, and where its raw bytes lie', async () => {
  const place = await it.put(Buffer.from('{"a":1}'))
  const answer = await it.answers.of(place)
  const { code, stdout } = await explain(place)
  expect(code).toBe(1)
  expect(stdout).toContain('dead letter, undecided: record.magic')
  if (answer.kind === 'verdict') throw new Error('it was decided')
  expect(stdout).toContain(`${it.topics.deadLetters}:${answer.record.partition}:${answer.record.offset}`)
})

test('an old verdict is decided again with the policy of its day', async () => {
  await writeFile(it.policyFile, policyText({ version: 2, execute: 0.3 }))
  const [later] = await until('version 2 is in force', async () => {
    const sent = await it.send([event({ confidence: 0.41 })])
    return (await it.answers.verdict(sent[0]!)).policy.version === 2 && sent
  })
  expect((await it.answers.verdict(later!)).route).toBe('execute')
  const { code, stdout } = await explain(at)
  expect(code).toBe(0)
  expect(stdout).toContain('goes to review, confidence.below_execute')
  expect(stdout).toContain(SAME)
  expect((await explain(later!)).stdout).toContain(SAME)
})

const topic = (): string => it.topics.input

test.each([
  ['no such event', () => [`${topic()}:0:99999`], 1, 'there is no event'],
  ['no such partition', () => [`${topic()}:99:0`], 1, 'there is no event'],
  ['another topic', () => ['elsewhere:0:0'], 1, 'is not of the input topic'],
  ['no such event id', () => ['--event', 'nobody'], 1, 'no verdict of an event with the id'],
  ['no decision id', () => ['nonsense'], 2, 'one looks like'],
  ['nothing named', () => [], 2, 'name one decision'],
  ['two named', () => [`${topic()}:0:1`, '--event', 'x'], 2, 'name one decision'],
  ['half a place', () => ['--topic', topic()], 2, 'go together'],
])('%s: a sentence and an exit code', async (_, args, code, said) => {
  const ended = await explain(...args())
  expect(ended.stderr).toContain(said)
  expect(ended.code).toBe(code)
  expect(ended.stderr).not.toMatch(/\n\s+at \S+ \(/)
})

test('an event that waits for its verdict is told from one that is not there', async () => {
  await endInOrder(processor)
  const [waiting] = await it.send([event()])
  const { code, stderr } = await explain(waiting!)
  expect(code).toBe(1)
  expect(stderr).toContain('has no verdict yet: is the processor running?')
})
