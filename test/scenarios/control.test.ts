import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses, runCli } from './support/cli.ts'
import { deploy, event, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { until } from './support/until.ts'

/** Orders from the command line, as running processors obey them. */

let it: Deployment
let processor: ProcessorProcess
const BY = ['--author', 'ada', '--reason', 'incident 12']

beforeAll(async () => {
  it = await deploy(inject('stack'), { policy: policyText().replace('max: 1000, window: 1s', 'max: 1, window: 1m') })
  processor = it.start()
  await processor.untilReady()
})
afterAll(async () => {
  await endProcesses()
  await it.close()
})

const control = (...args: readonly string[]) => runCli(['control', ...args], it.env())

const decide = async (more: Parameters<typeof event>[0]): Promise<string> => {
  const [at] = await it.send([event(more)])
  return inShort(await it.answers.of(at!))
}

/** Events are decided one after the other until this is the answer. */
const becomes = (answer: string, more: Parameters<typeof event>[0]): Promise<boolean> =>
  until(`it becomes ${answer}`, async () => (await decide(more)) === answer)

const HIDE = { action: 'item.hide' }
const BUSY = { subject: { type: 'item', id: 'i', owner: 'busy' } }

test('a kill switch holds for what it names, is listed, and ends when it is lifted', async () => {
  expect(await decide(HIDE)).toBe('execute confidence.sufficient')
  const killed = await control('kill', '--action', 'item.hide', '--tenant', 'default', ...BY)
  expect(killed).toMatchObject({ code: 0, stderr: '' })
  const id = 'kill:tenant=default:action=item.hide'
  expect(killed.stdout).toContain(`lift it with: sluice control lift ${id}`)
  await becomes('reject control.killed', HIDE)
  expect(await decide({ ...HIDE, tenant: 'other' })).toBe('execute confidence.sufficient')
  const listed = await control('list')
  expect(listed.stdout).toContain(
    `${id}: kill → reject, tenant=default, action=item.hide, until lifted, by ada: incident 12`,
  )
  expect(JSON.parse((await control('list', '--json')).stdout)).toMatchObject([{ id, author: 'ada', expiresAt: null }])
  expect(await control('lift', id)).toMatchObject({ code: 0, stdout: `lifted: ${id}\n` })
  await becomes('execute confidence.sufficient', HIDE)
  expect((await control('list')).stdout).toBe('no orders are in force\n')
  const again = await control('lift', id)
  expect(again.code).toBe(1)
  expect(again.stderr).toContain('sluice control list')
})

test('a verdict names the order, who gave it and why', async () => {
  await control('force', '--model', 'model', '--route', 'review', '--id', 'watch', ...BY)
  await becomes('review control.forced', HIDE)
  const [at] = await it.send([event(HIDE)])
  const { findings, facts } = await it.answers.verdict(at!)
  expect(findings[0]).toMatchObject({ code: 'control.forced', subject: 'watch' })
  expect(findings[0]?.detail).toContain('ada')
  expect(facts.control).toMatchObject([{ id: 'watch', author: 'ada', reason: 'incident 12' }])
  await control('lift', 'watch')
  await becomes('execute confidence.sufficient', HIDE)
})

test('an order for a time ends by itself', async () => {
  await control('kill', '--action', 'item.hide', '--for', '3s', ...BY)
  await becomes('reject control.killed', HIDE)
  await becomes('execute confidence.sufficient', HIDE)
  expect((await control('list')).stdout).toBe('no orders are in force\n')
})

test('an exemption lets one limit not count, until it expires', async () => {
  await becomes('review limit.exceeded', BUSY)
  const exempted = await control('exempt', 'burst', '--for', '4s', ...BY)
  expect([exempted.code, exempted.stderr]).toEqual([0, ''])
  const [at] = await until('it is executed', async () => {
    const sent = await it.send([event(BUSY)])
    return (await it.answers.verdict(sent[0]!)).route === 'execute' && sent
  })
  const { findings } = await it.answers.verdict(at!)
  expect(findings.map(({ code }) => code)).toContain('control.exempted')
  await becomes('review limit.exceeded', BUSY)
})

test('a withdrawn certificate is listed, affects nothing that does not rely on it, and can be lifted', async () => {
  const certificate = 'c'.repeat(32)
  const id = `withdraw:${certificate}`
  const withdrawn = await control('withdraw', certificate, ...BY)
  expect(withdrawn).toMatchObject({ code: 0, stderr: '' })
  expect(withdrawn.stdout).toContain(`lift it with: sluice control lift ${id}`)
  expect((await control('list')).stdout).toBe(
    `${id}: certificate ${certificate} withdrawn, everything, until lifted, by ada: incident 12\n`,
  )
  await control('kill', '--action', 'item.sell', '--id', 'later', ...BY)
  await becomes('reject control.killed', { action: 'item.sell' })
  expect(await decide(HIDE)).toBe('execute confidence.sufficient')
  expect(await control('lift', id)).toMatchObject({ code: 0, stdout: `lifted: ${id}\n` })
  await control('lift', 'later')
})

test('an exemption of what the policy does not have is told of, with what it has', async () => {
  const { code, stderr } = await control('exempt', 'brust', '--for', '4s', ...BY)
  expect(code).toBe(0)
  expect(stderr).toMatch(/^beware: the policy decided with last, .* has no rule or limit `brust`; it has: .*burst/)
})

test('a process that starts later obeys from its first event on', async () => {
  await control('kill', '--id', 'all', ...BY)
  await becomes('reject control.killed', HIDE)
  await endInOrder(processor)
  const [at] = await it.send([event(HIDE)])
  processor = it.start()
  expect(inShort(await it.answers.of(at!, 20_000))).toBe('reject control.killed')
  await control('lift', 'all')
  await becomes('execute confidence.sufficient', HIDE)
})

test('a record in the control topic that is no order is told of and obeyed by nobody', async () => {
  const record = { partition: null, timestamp: Date.now(), headers: [] }
  const value = Buffer.from('garbage')
  await it.producer.send([{ topic: it.topics.control, key: Buffer.from('x'), value, ...record }])
  await until('it is told of', () =>
    processor.log().some(({ message }) => message.startsWith('a record cannot be used')),
  )
  expect(await decide(HIDE)).toBe('execute confidence.sufficient')
  await control('kill', '--action', 'item.hide', '--id', 'after', ...BY)
  await becomes('reject control.killed', HIDE)
})

test.each([
  ['an exemption without an end', ['exempt', 'burst', ...BY], '--for'],
  ['a duration that is none', ['kill', '--for', 'soon', ...BY], 'write 30m, 2h or 7d'],
  ['a duration of nothing', ['kill', '--for', '0s', ...BY], 'write 30m, 2h or 7d'],
  ['an author without a name', ['kill', '--author', ' ', '--reason', 'r'], '--author and --reason must not be empty'],
  ['a certificate that is none', ['withdraw', 'C1', ...BY], 'is no id of a certificate'],
  [
    'a withdrawal without an author',
    ['withdraw', 'c'.repeat(32), '--author', '', '--reason', 'r'],
    'must not be empty',
  ],
  ['nobody who orders it', ['kill', '--reason', 'r'], '--author'],
  ['a route that is none', ['force', '--route', 'execute', ...BY], 'review, reject'],
])('%s is refused, with what to do', async (_, args, said) => {
  const { code, stderr } = await control(...args)
  expect(code).not.toBe(0)
  expect(stderr).toContain(said)
  expect(stderr).not.toMatch(/\n\s+at \S+ \(/)
})

test('nothing was lost or doubled', async () => {
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
  await endInOrder(processor)
})
