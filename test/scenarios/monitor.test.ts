import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Certificate } from '../../src/commands/certificate-file.ts'
import { reportOutcomes } from '../../src/sdk/index.ts'
import type { OutcomeReporter } from '../../src/sdk/index.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses, ROOT, runCli, startCli } from './support/cli.ts'
import type { CliProcess } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { until } from './support/until.ts'

/** From executions on a certificate, by what people say of them, to its withdrawal. */

const DROP = 'item.drop'
const POLICY = policyText().replace(
  'context:\n',
  `  ${DROP}: { undo: irreversible, audit: 1, confidence: { certified: { risk: 0.05, assurance: 0.95 } } }
context:
`,
)
const DROPPED = { action: DROP, confidence: 1 }

let it: Deployment
let monitor: CliProcess
let outcomes: OutcomeReporter
let certificate: Certificate
const settings = () => it.env({ SLUICE_MATURITY_MS: '1000', SLUICE_SETTLE_MS: '200', SLUICE_MISSING_LABEL: 'exclude' })

beforeAll(async () => {
  const stack = inject('stack')
  it = await deploy(stack, { policy: POLICY })
  const file = join(it.folder, 'certificates.json')
  const data = join(ROOT, 'test/calibration/data/cifar10-vgg.csv')
  const rows = ['--labelled', data, '--unlabelled', data, '--score', 'score', '--label', 'label', '--risk', '0.05']
  await runCli(['certify', ...rows, '--model', 'model@1', '--action', DROP, '-o', file])
  const read = JSON.parse(await readFile(file, 'utf8')) as { readonly certificates: readonly Certificate[] }
  certificate = read.certificates[0]!
  const processor = it.start({ SLUICE_CERTIFICATES: file })
  await processor.untilReady()
  monitor = startCli(['monitor'], settings())
  outcomes = reportOutcomes({
    kafka: { brokers: [...stack.brokers] },
    registry: { url: stack.registry },
    topic: it.topics.outcomes,
    source: '/people',
  })
})
afterAll(async () => {
  await outcomes.close()
  await endProcesses()
  await it.close()
})

/** Executes so many events and has people say of each whether it was right. */
async function label(howMany: number, right: boolean): Promise<void> {
  for (const at of await it.send(many(howMany, DROPPED))) {
    const verdict = await it.answers.verdict(at)
    expect(verdict).toMatchObject({ route: 'execute', audit: { selected: true, propensity: 1 } })
    await outcomes.report(verdict, { kind: 'label', right })
  }
}

type Status = {
  readonly certificates: readonly {
    readonly certificate: string
    readonly counted: number
    readonly errors: number
    readonly evidence: number
    readonly withdrawn: { readonly reason: string } | null
  }[]
}

async function status(): Promise<Status['certificates'][number] | null> {
  const { code, stdout } = await runCli(['monitor', 'status', '--json'], settings())
  return code === 0 ? ((JSON.parse(stdout) as Status).certificates[0] ?? null) : null
}

test('labels that the promise allows withdraw nothing, and are counted', { timeout: 120_000 }, async () => {
  await label(20, true)
  const seen = await until(
    'all are counted',
    async () => {
      const it = await status()
      return it?.counted === 20 && it
    },
    60_000,
  )
  expect(seen).toMatchObject({ certificate: certificate.id, errors: 0, withdrawn: null })
})

test(
  'labels that break it withdraw the certificate: what comes next goes to review and says why',
  { timeout: 120_000 },
  async () => {
    await label(20, false)
    await until(
      'it is withdrawn',
      async () => {
        const [at] = await it.send([event(DROPPED)])
        return inShort(await it.answers.of(at!)) === 'review calibration.withdrawn'
      },
      60_000,
    )
    const [at] = await it.send([event(DROPPED)])
    const { findings } = await it.answers.verdict(at!)
    expect(findings[0]?.detail).toContain(
      '`sluice monitor` has withdrawn the certificate: more executed events are wrong',
    )
    const seen = await until(
      'the monitor tells of it',
      async () => {
        const it = await status()
        return it !== null && it.withdrawn !== null && it
      },
      60_000,
    )
    expect(seen.withdrawn?.reason).toMatch(
      /evidence \d+ has reached 10000; since it is watched \d+ of \d+ audited executions were wrong/,
    )
    expect((await runCli(['monitor', 'status'], settings())).stdout).toContain('withdrawn  ')
  },
)

test('counted anew from the topics, what the monitor knows is the same, byte for byte', async () => {
  const { code, stdout, stderr } = await runCli(['monitor', 'replay'], settings())
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^the same \d+ bytes up to /)
  await endInOrder(monitor)
})
