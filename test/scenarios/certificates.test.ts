import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Certificate } from '../../src/commands/certificate-file.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses, ROOT, runCli } from './support/cli.ts'
import { deploy, event, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { until } from './support/until.ts'

/** From labelled rows to an irreversible action that is executed, and back again. */

const DROP = 'item.drop'
const POLICY = policyText().replace(
  'context:\n',
  `  ${DROP}: { undo: irreversible, confidence: { certified: { risk: 0.05, assurance: 0.95 } } }
  item.weigh: { undo: reversible, confidence: { execute: 0.6 }, reviewCapacity: 2/h }
context:
`,
)
const BY = ['--author', 'ada', '--reason', 'accuracy fell']

let it: Deployment
let processor: ProcessorProcess
let file: string

const certify = async (...more: readonly string[]): Promise<Certificate> => {
  const data = join(ROOT, 'test/calibration/data/cifar10-vgg.csv')
  const rows = ['--labelled', data, '--unlabelled', data, '--score', 'score', '--label', 'label', '--risk', '0.05']
  const bound = ['--model', 'model@1', '--action', DROP, '-o', file]
  const { code, stderr } = await runCli(['certify', ...rows, ...bound, ...more])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { certificates } = JSON.parse(await readFile(file, 'utf8')) as { certificates: readonly Certificate[] }
  return certificates[0]!
}

let certificate: Certificate

beforeAll(async () => {
  it = await deploy(inject('stack'), { policy: POLICY })
  file = join(it.folder, 'certificates.json')
  certificate = await certify()
  processor = it.start({ SLUICE_CERTIFICATES: file })
  await processor.untilReady()
})
afterAll(async () => {
  await endProcesses()
  await it.close()
})

const decide = async (more: Parameters<typeof event>[0] = {}) => {
  const [at] = await it.send([event({ action: DROP, confidence: 1, ...more })])
  return { at: at!, answer: inShort(await it.answers.of(at!)) }
}
const becomes = (answer: string) => until(`it becomes ${answer}`, async () => (await decide()).answer === answer)
const inForce = () => processor.log().filter(({ message }) => message === 'a changed policy is in force').length

test('an irreversible action is executed on a certificate from its threshold on, and the verdict says what it promised', async () => {
  const { threshold, risk, assurance, upperBound } = certificate
  const { at, answer } = await decide({ confidence: threshold })
  expect(answer).toBe('execute confidence.sufficient')
  const { score, policy } = await it.answers.verdict(at)
  expect(score).toMatchObject({
    certificate: certificate.id,
    margin: 0,
    certified: { threshold, risk, assurance, upperBound, budget: 'per-execution', segment: null },
  })
  expect(policy.certificates).toMatch(/^[0-9a-f]{32}$/)
  expect((await decide({ confidence: threshold - 1e-9 })).answer).toBe('review confidence.below_execute')
  expect((await decide({ model: { name: 'model', version: '2' } })).answer).toBe('review calibration.version_mismatch')
  expect((await decide({ scoreKind: 'verbal' })).answer).toBe('review calibration.uncertified')
})

test('explain says what was promised, and deciding again with the published certificates gives the same', async () => {
  const { at } = await decide()
  const { code, stdout } = await runCli(['explain', at], it.env())
  expect(code).toBe(0)
  expect(stdout).toContain(`certificate ${certificate.id}`)
  expect(stdout).toContain('at most 5 % errors among executed events, with 95 %')
  expect(stdout).toContain('Decided again from this record: the same verdict.')
})

test('withdrawn, it executes nothing more, and nothing else is affected; lifted, it does again', async () => {
  const withdrawn = await runCli(['control', 'withdraw', certificate.id, ...BY], it.env())
  expect(withdrawn).toMatchObject({ code: 0, stderr: '' })
  await becomes('review calibration.withdrawn')
  const { at } = await decide()
  const { findings, facts, score, changes } = await it.answers.verdict(at)
  expect(findings[0]).toMatchObject({ code: 'calibration.withdrawn', subject: certificate.id })
  expect(findings[0]?.detail).toContain('`ada` has withdrawn the certificate: accuracy fell')
  expect(facts.control).toMatchObject([{ author: 'ada', certificate: certificate.id }])
  expect(score.certificate).toBeNull()
  expect(changes).toEqual({ without: ['calibration.withdrawn'], route: 'execute' })
  const flag = await decide({ action: 'item.flag' })
  expect(flag.answer).toBe('execute confidence.sufficient')
  expect((await it.answers.verdict(flag.at)).facts.control).toEqual([])
  expect((await runCli(['explain', at], it.env())).stdout).toContain('the same verdict')
  await runCli(['control', 'lift', `withdraw:${certificate.id}`], it.env())
  await becomes('execute confidence.sufficient')
})

test('a new certificate is taken over while running; an edited one is refused, and the old one stays in force', async () => {
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(`"threshold": ${certificate.threshold}`, '"threshold": 0.1'))
  await until('it is refused', () =>
    processor.log().some(({ problem }) => String(problem).includes('it was changed after it was issued')),
  )
  expect((await decide({ confidence: 0.5 })).answer).toBe('review confidence.below_execute')
  expect((await decide()).answer).toBe('execute confidence.sufficient')
  const before = inForce()
  certificate = await certify('--valid-for', '1s')
  await until('it is in force', () => inForce() > before)
  await becomes('review calibration.certificate_expired')
  await certify('--risk', '0.08')
  await becomes('review calibration.certificate_too_weak')
})

test('reviews beyond what the desk can do are marked, and what is sure enough is executed all the same', async () => {
  const answers: string[] = []
  let last = ''
  for (const confidence of [0.5, 0.9, 0.5, 0.5, 0.9, 0.5]) {
    const { at, answer } = await decide({ action: 'item.weigh', confidence })
    answers.push(answer)
    last = at
  }
  const [executed, reviewed, marked] = [
    'execute confidence.sufficient',
    'review confidence.below_execute',
    'review limit.review_capacity',
  ]
  expect(answers).toEqual([reviewed, executed, reviewed, marked, executed, marked])
  const { stdout } = await runCli(['explain', last], it.env())
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain('this would be review 4 in 1 h, and 2 are what the desk can do')
  expect(stdout).toContain('Decided again from this record: the same verdict.')
})

test('nothing was lost or doubled', async () => {
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
  await endInOrder(processor)
})
