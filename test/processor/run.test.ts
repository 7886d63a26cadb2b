import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runProcessor } from '../../src/processor/run.ts'
import { withdrawalOf } from '../../src/decision/control.ts'
import {
  actionRule,
  NOW,
  sampleCertificate,
  sampleCertificates,
  sampleCosts,
  sampleDemand,
  sampleDesk,
  sampleOrder,
  samplePolicy,
} from '../decision/samples.ts'
import { inquiryAt } from '../conformance/state-caller.ts'
import type { CommitFault } from '../twins/decision-log.ts'
import {
  BAD,
  bytesOf,
  codeOf,
  deadLetterId,
  flow,
  recomputed,
  TOPIC,
  UNWRITABLE,
  verdictOf,
  visibleIds,
  WAIT,
} from './flow.ts'

type Flow = ReturnType<typeof flow>

/** Nothing stands against an execution but the score; a removal needs a certificate. */
const FREE = samplePolicy({
  actions: new Map(
    [
      actionRule('listing.flag'),
      actionRule('listing.remove', {
        undo: 'irreversible',
        confidence: { execute: null, certified: sampleDemand(), reject: null, calibrated: 'optional' },
      }),
    ].map((rule) => [rule.action, rule]),
  ),
  limits: [],
  context: [],
  rules: [],
})

/** Runs until every appended record is committed; fails after `ms`. */
async function drain(it: Flow, total: number, ms = 3000): Promise<void> {
  const stop = new AbortController()
  const running = runProcessor(it.processor, stop.signal)
  const end = performance.now() + ms
  const done = (): number => [...it.log.committed.values()].reduce((sum, next) => sum + next, 0)
  while (done() < total && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
  stop.abort()
  await running
  expect(done()).toBe(total)
}

const idsOf = (partition: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, offset) => `${TOPIC}:${partition}:${offset}`)

describe('one batch after the other', () => {
  test('every record becomes one verdict or one dead letter, on the partition and with the key it came with', async () => {
    const it = flow({ partitions: 1 })
    it.log.append(0, bytesOf({ id: 'a' }), 'k1')
    it.log.append(0, BAD, 'k2')
    it.log.append(0, bytesOf({ id: 'b', action: 'constructor' }), null)
    await drain(it, 3)
    const outputs = it.log.visible.filter((one) => one.topic !== 'policies')
    expect(outputs.map((one) => [one.topic, one.partition, one.key?.toString() ?? null])).toEqual([
      ['v', 0, 'k1'],
      ['dlq', 0, 'k2'],
      ['r', 0, null],
    ])
    expect(outputs.map((one) => (one.topic === 'dlq' ? codeOf(one) : verdictOf(one).code))).toEqual([
      'context.missing',
      'record.magic',
      'action.unknown',
    ])
    expect(outputs[1]?.value).toEqual(BAD)
    expect(outputs[1]?.timestamp).toBe(NOW)
  })

  test('the policy’s text is published once, in the first transaction that used it', async () => {
    const it = flow()
    for (let n = 0; n < 20; n++) it.log.append(n % 2, bytesOf({ id: `e-${n}` }))
    await drain(it, 20)
    const texts = it.log.visible.filter((one) => one.topic === 'policies')
    expect(texts.map((one) => [one.key?.toString(), one.value?.toString()])).toEqual([
      [samplePolicy().digest, samplePolicy().text],
    ])
    expect(it.log.visible[0]?.topic).toBe('policies')
  })

  test('a verdict larger than its topic takes becomes a dead letter that keeps the raw event', async () => {
    const it = flow({ partitions: 1, maxVerdictBytes: 200 })
    it.log.append(0, bytesOf())
    await drain(it, 1)
    const [letter] = it.log.visible.filter((one) => one.topic === 'dlq')
    expect([letter && codeOf(letter), letter?.value]).toEqual(['verdict.oversized', bytesOf()])
  })

  test('a verdict that its topic refuses, though the settings allow it, becomes a dead letter and holds nothing up', async () => {
    const it = flow({ partitions: 1 })
    const usual = bytesOf({ id: 'usual' })
    it.log.append(0, usual)
    for (const length of [3000, 9000, 0, 5000]) it.log.append(0, bytesOf({ id: 'x'.repeat(length + 1) }))
    it.log.append(0, bytesOf({ id: 'later' }))
    it.log.limit('v', 3500)
    await drain(it, 6)
    const letters = it.log.visible.filter((one) => one.topic === 'dlq')
    expect(letters.map((one) => [codeOf(one), deadLetterId(one)])).toEqual(
      [1, 2, 4].map((offset) => ['verdict.oversized', `${TOPIC}:0:${offset}`]),
    )
    expect(it.log.visible.filter((one) => one.topic === 'v').map((one) => verdictOf(one).event.id)).toEqual([
      'usual',
      'x',
      'later',
    ])
    expect(new Set(it.seen.discarded)).toEqual(new Set(['MESSAGE_TOO_LARGE']))
  })

  test('a verdict that cannot be written becomes a dead letter and stops nothing', async () => {
    const it = flow({ partitions: 1 })
    it.log.append(0, bytesOf({ id: UNWRITABLE }))
    it.log.append(0, bytesOf({ id: 'next' }))
    await drain(it, 2)
    const topics = it.log.visible.filter((one) => one.topic !== 'policies').map((one) => one.topic)
    expect(topics).toEqual(['dlq', 'v'])
    expect(it.log.visible.filter((one) => one.topic === 'dlq').map(codeOf)).toEqual(['verdict.malformed'])
  })

  test('a record that cannot be read yet holds its own partition back and no other, then is a dead letter', async () => {
    let waitedMs = 0
    const it = flow({ partitions: 2, giveUpMs: 60, patienceNow: () => waitedMs })
    it.log.append(0, bytesOf({ id: 'before' }))
    it.log.append(0, WAIT)
    it.log.append(0, bytesOf({ id: 'after' }))
    for (let n = 0; n < 10; n++) it.log.append(1, bytesOf({ id: `other-${n}` }))
    const stop = new AbortController()
    const running = runProcessor(it.processor, stop.signal)
    await expect.poll(() => it.log.committed.get(1), { interval: 1 }).toBe(10)
    expect(it.log.committed.get(0)).toBe(1)
    waitedMs = 60
    await expect.poll(() => it.log.committed.get(0), { interval: 1 }).toBe(3)
    stop.abort()
    await running
    expect(it.log.visible.filter((one) => one.topic === 'dlq').map(codeOf)).toEqual(['schema.unresolved'])
    expect(visibleIds(it.log).filter((id) => id.startsWith(`${TOPIC}:0:`))).toEqual(idsOf(0, 3))
  })

  test('a withdrawal holds from the next batch on, and is a fact only where its certificate might be relied upon', async () => {
    const certificate = sampleCertificate()
    const it = flow({ partitions: 1, policy: FREE, certificates: sampleCertificates(certificate) })
    const withdraw = (id: string) => withdrawalOf(id, { author: 'ada', reason: 'drift', createdAt: 0 })
    it.log.append(0, bytesOf({ id: 'a', action: 'listing.remove' }))
    await drain(it, 1)
    expect(verdictOf(it.log.visible.at(-1)!).route).toBe('execute')
    for (const id of [certificate.id, '0'.repeat(32)]) it.orders.apply(`withdraw:${id}`, withdraw(id))
    it.log.append(0, bytesOf({ id: 'b', action: 'listing.remove' }))
    it.log.append(0, bytesOf({ id: 'c', action: 'listing.flag' }))
    await drain(it, 3)
    const [removal, flag] = it.log.visible.slice(-2).map(verdictOf)
    expect([removal?.route, removal?.code]).toEqual(['review', 'calibration.withdrawn'])
    expect(removal?.facts.control.map((order) => order.certificate)).toEqual([certificate.id])
    expect([flag?.route, flag?.facts.control]).toEqual(['execute', []])
    expect(recomputed(removal!, FREE, it.rulebook.certificates)).toEqual(removal)
    it.orders.apply(`withdraw:${certificate.id}`, null)
    it.log.append(0, bytesOf({ id: 'd', action: 'listing.remove' }))
    await drain(it, 4)
    expect(verdictOf(it.log.visible.at(-1)!).route).toBe('execute')
  })

  test('a desk counts its reviews; beyond its capacity they wait, or are rejected where a look is worth less than its price', async () => {
    const flag = actionRule('listing.flag', { costs: sampleCosts() })
    const policy = { ...FREE, actions: new Map([['listing.flag', flag]]), desks: [sampleDesk()] }
    const it = flow({ partitions: 1, policy })
    // Worth a look up to the third review in the window at 0.5, up to the fifth at 0.7.
    const scores = [0.5, 0.99, 0.5, 0.5, 0.5, 0.7, 0.7, 0.7, 0.1, 0.99]
    for (const [at, confidence] of scores.entries()) it.log.append(0, bytesOf({ id: `e${at}`, confidence }))
    await drain(it, scores.length)
    const verdicts = it.log.visible.filter((one) => one.topic !== 'policies').map(verdictOf)
    expect(verdicts.map(({ route, code }) => `${route} ${code}`)).toEqual([
      'review confidence.below_execute',
      'execute confidence.sufficient',
      'review confidence.below_execute',
      'review limit.review_capacity',
      'reject limit.review_price',
      'review limit.review_capacity',
      'review limit.review_capacity',
      'reject limit.review_price',
      'reject confidence.below_reject',
      'execute confidence.sufficient',
    ])
    for (const verdict of verdicts) expect(recomputed(verdict, policy)).toEqual(verdict)
  })

  test('the texts that verdicts name travel with the first of them', async () => {
    const it = flow({ partitions: 1, certificates: sampleCertificates(sampleCertificate()) })
    it.log.append(0, bytesOf({ id: 'a' }))
    await drain(it, 1)
    const published = () => it.log.visible.filter((one) => one.topic === 'policies').map((one) => String(one.key))
    expect(published()).toEqual([it.rulebook.policy.digest, it.rulebook.certificates.digest])
    expect(verdictOf(it.log.visible.at(-1)!).policy.certificates).toBe(it.rulebook.certificates.digest)
  })

  test('what was decided before an operator set the offset back goes to review, and what comes after is decided', async () => {
    const it = flow({ partitions: 1 })
    for (let n = 0; n < 7; n++) it.log.append(0, bytesOf({ id: `e-${n}` }))
    await drain(it, 7)
    it.log.commitAs(new Map([[0, 2]]))
    it.log.append(0, bytesOf({ id: 'new' }))
    await drain(it, 8)
    const codes = it.log.visible.filter((one) => one.topic !== 'policies').map((one) => verdictOf(one))
    expect(codes.slice(7).map(({ source, route, code }) => [source.offset, route, code])).toEqual([
      ...[2, 3, 4, 5, 6].map((offset) => [offset, 'review', 'event.replayed']),
      [7, codes[0]!.route, codes[0]!.code],
    ])
    expect(codes[7]!.facts.first?.decisionId).toBe(codes[7]!.decisionId)
    for (const verdict of codes) expect(verdict).toEqual(recomputed(verdict, it.rulebook.policy))
  })

  test('a kill switch holds from the next batch on and is recorded', async () => {
    const it = flow({ partitions: 1 })
    it.orders.apply('stop', {
      ...sampleOrder({ id: 'stop' }),
      tenant: null,
      model: null,
      action: 'cache.refresh',
      actor: null,
      createdAt: 0,
    })
    it.log.append(0, bytesOf({ id: 'a', action: 'cache.refresh' }))
    await drain(it, 1)
    const verdict = verdictOf(it.log.visible.at(-1)!)
    expect([verdict.route, verdict.code, verdict.facts.control.map(({ id }) => id)]).toEqual([
      'reject',
      'control.killed',
      ['stop'],
    ])
  })
})

describe('state', () => {
  const refunds = (it: Flow, count: number): void => {
    for (let n = 0; n < count; n++) it.log.append(0, bytesOf({ id: `r-${n}`, action: 'refund', actor: `a-${n}` }))
  }

  test('an execution limit is reserved by exactly as many as it allows', async () => {
    const it = flow({ partitions: 1 })
    refunds(it, 8)
    await drain(it, 8)
    const verdicts = it.log.visible.filter((one) => one.topic !== 'policies').map(verdictOf)
    expect(verdicts.map(({ route }) => route)).toEqual([...Array(3).fill('execute'), ...Array(5).fill('review')])
    expect(verdicts[7]?.code).toBe('limit.exceeded')
  })

  test('while Redis is away nothing that needs state is executed, and what was missed is counted afterwards', async () => {
    const it = flow({ partitions: 1 })
    it.state.reach = 'away'
    refunds(it, 4)
    await drain(it, 4)
    const routes = it.log.visible.filter((one) => one.topic !== 'policies').map((one) => verdictOf(one))
    expect(routes.map(({ route, code, mode }) => [route, code, mode])).toEqual(
      Array.from({ length: 4 }, () => ['review', 'state.unavailable', 'degraded']),
    )
    it.state.reach = 'there'
    it.log.append(0, bytesOf({ id: 'r-0', action: 'refund', actor: 'a-0' }))
    await drain(it, 5)
    const repeat = verdictOf(it.log.visible.at(-1)!)
    expect([repeat.route, repeat.code, repeat.facts.first?.decisionId]).toEqual([
      'reject',
      'event.duplicate',
      `${TOPIC}:0:0`,
    ])
  })
})

describe('while nothing new comes', () => {
  test('state is told what it missed, by who has no token yet too', async () => {
    const it = flow({ partitions: 2 })
    it.log.append(1, bytesOf({ id: 'r-0', action: 'refund' }))
    const stop = new AbortController()
    const running = runProcessor(it.processor, stop.signal)
    await expect.poll(() => it.log.committed.get(1)).toBe(1)
    it.state.reach = 'away'
    it.log.endAssignment()
    it.log.append(1, bytesOf({ id: 'r-1', action: 'refund' }))
    await expect.poll(() => it.log.committed.get(1)).toBe(2)
    expect(it.state.backlogEvents).toBeGreaterThan(0)
    it.state.reach = 'there'
    await expect.poll(() => it.state.backlogEvents).toBe(0)
    stop.abort()
    await running
    const next = await it.state.acquire(new Map([[1, { start: 2, committed: 2 }]]), 1000, 3)
    const token = next.kind === 'owned' ? next.tokens.get(1)! : 0
    const range = { partition: 1, token, from: 2, next: 3, committed: 2, inquiries: [inquiryAt(2)] }
    expect(await it.state.observe([range], 1000, 1000)).toMatchObject({
      observations: new Map([[1, new Map([[2, expect.objectContaining({ lost: false })]])]]),
    })
  })
})

describe('overload', () => {
  test('transactions that take longer than the group stays as it is are made smaller until they get through', async () => {
    const it = flow()
    for (let n = 0; n < 600; n++) it.log.append(n % 2, bytesOf({ id: `e-${n}` }))
    const commit: typeof it.log.commit = async (outputs, offsets, assignment) => {
      if (outputs.length > 40) it.log.endAssignment()
      return await it.log.commit(outputs, offsets, assignment)
    }
    const pace = { ...it.processor.pace, maxRecords: 1000 }
    await drain({ ...it, processor: { ...it.processor, pace, log: { ...it.log, commit } } }, 600)
    expect(new Set(visibleIds(it.log)).size).toBe(600)
    expect(visibleIds(it.log)).toHaveLength(600)
    expect(it.seen.discarded.length).toBeLessThan(20)
  })

  test('the first transaction of a process is small, and those that follow double up to what they may take', async () => {
    const it = flow()
    for (let n = 0; n < 3000; n++) it.log.append(n % 2, bytesOf({ id: `e-${n}` }))
    const pace = { ...it.processor.pace, maxRecords: 1000 }
    await drain({ ...it, processor: { ...it.processor, pace } }, 3000, 10_000)
    const sizes = it.seen.committed.map(({ decided }) => decided.length)
    expect(sizes[0]).toBe(125)
    expect(Math.max(...sizes)).toBeGreaterThan(500)
    expect(sizes.every((size) => size <= 1000)).toBe(true)
  })
})

describe('whatever fails', () => {
  const faults = fc.array(fc.constantFrom<CommitFault | null>('refused', 'reply lost', null), { maxLength: 12 })
  const kinds = fc.array(fc.constantFrom('flag', 'refund', 'repeat', 'bad', 'stateless'), {
    minLength: 1,
    maxLength: 40,
  })
  const reach = fc.array(fc.constantFrom('there' as const, 'there' as const, 'away' as const, 'deaf' as const), {
    minLength: 1,
    maxLength: 5,
  })

  test('each input has exactly one output, equal to what its own facts give, and limits hold', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, faults, reach, async (items, commitFaults, reaches) => {
        const it = flow({ partitions: 2 })
        items.forEach((kind, n) => it.log.append(n % 2, inputOf(kind, n)))
        it.log.failNext(...commitFaults)
        let at = 0
        // A Redis that carries everything out and answers nothing for ever is not reachable, it is away.
        const cycle = [...reaches, 'away'] as const
        const flicker = setInterval(() => (it.state.reach = cycle[at++ % cycle.length] ?? 'there'), 2)
        await drain(it, items.length)
        clearInterval(flicker)
        checkOutputs(it, items.length)
      }),
      { numRuns: 100 },
    )
  }, 60_000)
})

function inputOf(kind: string, n: number): Buffer {
  if (kind === 'bad') return BAD
  if (kind === 'repeat') return bytesOf({ id: 'same', action: 'refund' })
  if (kind === 'stateless') return bytesOf({ id: `s-${n}`, action: 'cache.refresh' })
  return bytesOf({ id: `e-${n}`, action: kind === 'refund' ? 'refund' : 'listing.flag' })
}

function checkOutputs(it: Flow, total: number): void {
  const ids = visibleIds(it.log)
  const expected = [...idsOf(0, Math.ceil(total / 2)), ...idsOf(1, Math.floor(total / 2))]
  expect(ids.toSorted()).toEqual(expected.toSorted())
  const verdicts = it.log.visible.filter((one) => !['policies', 'dlq'].includes(one.topic)).map(verdictOf)
  for (const verdict of verdicts)
    expect(JSON.parse(JSON.stringify(recomputed(verdict, it.rulebook.policy)))).toEqual(verdict)
  const executed = verdicts.filter(({ route }) => route === 'execute')
  expect(new Set(executed.map(({ actionKey }) => actionKey)).size).toBe(executed.length)
  expect(executed.filter(({ event }) => event.action === 'refund').length).toBeLessThanOrEqual(3)
}
