import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certifyThreshold } from '../../src/commands/certify.ts'
import { showThresholds, type ThresholdsOptions, type ThresholdsReport } from '../../src/commands/thresholds.ts'
import { edgesOf } from '../../src/decision/costs.ts'

let folder: string
const path = (name: string): string => join(folder, name)
const data = (name: string): string => new URL(`data/${name}`, import.meta.url).pathname
const CIFAR = data('cifar10-vgg.csv')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-thresholds-'))
  const [head, ...rows] = (await readFile(CIFAR, 'utf8')).trim().split('\n')
  await writeFile(path('some.csv'), [head, ...rows.slice(0, 600)].join('\n'))
  await writeFile(path('few.csv'), [head, ...rows.slice(0, 100)].join('\n'))
  await writeFile(path('wrong.csv'), 'label,score\n2,0.5\n1,high\n')
  const policy = (loss: string) =>
    `policy: p\nversion: 1\nactions:\n  a:\n    undo: irreversible\n    confidence: { certified: { risk: 0.02, assurance: 0.9 }, calibrated: required }\n    costs: { wrongExecution: ${loss}, wrongReject: 15, review: 4 }\n`
  await writeFile(path('policy.yaml'), policy('200'))
  await writeFile(path('by-amount.yaml'), policy('event.attributes.amount'))
})
afterAll(() => rm(folder, { recursive: true }))

async function shown(options: Partial<ThresholdsOptions> = {}) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await showThresholds({
    labelled: CIFAR,
    unlabelled: CIFAR,
    score: 'score',
    label: 'label',
    labelMeans: 'right',
    risk: 0.01,
    assurance: 0.95,
    seed: 1,
    json: false,
    print: (line) => void out.push(line),
    complain: (line) => void err.push(line),
    ...options,
  })
  return { code, out: out.join('\n').replaceAll(`${folder}/`, ''), err: err.join('\n').replaceAll(`${folder}/`, '') }
}

const reported = async (options: Partial<ThresholdsOptions> = {}): Promise<ThresholdsReport> =>
  JSON.parse((await shown({ ...options, json: true })).out)

const COSTS = { wrongExecution: 200, wrongReject: 15, review: 4 }

describe('the curve', () => {
  test('has the counts, bounds and tests of the certificate, and its threshold', async () => {
    const [part] = (await reported()).parts
    let certificate = ''
    await certifyThreshold({
      labelled: CIFAR,
      unlabelled: CIFAR,
      score: 'score',
      label: 'label',
      labelMeans: 'right',
      risk: 0.01,
      assurance: 0.95,
      budget: 'per-execution',
      jointly: false,
      scoreKind: 'probability',
      validFor: '1d',
      seed: 1,
      json: true,
      print: (line) => void (certificate = line),
    })
    const certified = JSON.parse(certificate)
    expect(part?.certification.threshold).toBe(certified.threshold)
    expect(part?.steps.map(({ executed, errors }) => [executed, errors])).toEqual(
      certified.tests.map((it: { executed: number; errors: number }) => [it.executed, it.errors]),
    )
    const own = part?.steps.find(({ threshold }) => threshold === certified.threshold)
    expect(own).toMatchObject({ coverage: certified.coverage, upperBound: certified.upperBound, certified: true })
  })

  test('shares everything out, and executes more the looser the threshold', async () => {
    const [part] = (await reported(COSTS)).parts
    const steps = part?.steps ?? []
    expect(steps.length).toBeGreaterThan(50)
    for (const [index, { coverage, reviewed, rejected }] of steps.entries()) {
      expect(coverage + reviewed + rejected).toBeCloseTo(1, 12)
      expect(coverage).toBeGreaterThanOrEqual(steps[index - 1]?.coverage ?? 0)
    }
  })

  test('chooses what costs least among what is certified', async () => {
    for (const costs of [COSTS, { ...COSTS, wrongExecution: 20 }, { ...COSTS, review: 12, wrongExecution: 20 }]) {
      const [part] = (await reported(costs)).parts
      const allowed = (part?.steps ?? []).filter(({ threshold }) => threshold >= (part?.certification.threshold ?? 2))
      const least = Math.min(...allowed.map(({ cost }) => cost ?? Number.NaN))
      const chosen = part?.steps.find(({ threshold }) => threshold === part.chosen.threshold)
      expect(chosen?.cost).toBeLessThan(least * 1.001)
      expect(part?.chosen).toMatchObject(edgesOf(costs))
    }
  })

  test('without costs has no cost and nothing to choose but the certified threshold', async () => {
    const [part] = (await reported()).parts
    expect(part?.steps.every(({ cost, rejected }) => cost === null && rejected === 0)).toBe(true)
    expect(part?.chosen).toEqual({ threshold: part?.certification.threshold, execute: null, reject: null })
  })
})

describe('more labels', () => {
  test('buy coverage where there are few, none where there are enough, and are told with their spread', async () => {
    const outlookOf = async (labelled: string) => (await reported({ labelled, unlabelled: CIFAR })).parts[0]?.outlook
    const few = await outlookOf(path('few.csv'))
    expect(few?.now?.coverage.mean).toBe(0)
    expect(few?.more).toMatchObject({ labels: 1100 })
    expect(few?.more?.coverage.mean).toBeGreaterThan(0.3)
    const many = await outlookOf(CIFAR)
    expect(Math.abs((many?.more?.coverage.mean ?? 0) - (many?.now?.coverage.mean ?? 1))).toBeLessThan(0.05)
    const { out } = await shown({ labelled: path('some.csv'), unlabelled: CIFAR })
    expect(out).toMatch(
      /^1000 more {2}labels would let .* % \(.* to .*\) be executed on average instead of .* \(.*\), .* % of the traffic more$/m,
    )
  })

  test('that would buy nothing are not praised', async () => {
    expect((await shown({ risk: 0.0001 })).out).toContain('which is no gain')
  })
})

describe('what is asked', () => {
  test('is what the action of a policy demands, and its costs', async () => {
    const report = await reported({
      policy: path('policy.yaml'),
      action: 'a',
      risk: undefined,
      assurance: undefined,
    } as never)
    expect(report).toMatchObject({ demand: { risk: 0.02, delta: 0.1 }, assurance: 0.9, costs: COSTS })
    const amount = { policy: path('by-amount.yaml'), action: 'a', wrongExecution: 50 }
    expect((await reported(amount)).costs).toEqual({ ...COSTS, wrongExecution: 50 })
  })

  test('may be per segment', async () => {
    const file = data('adult-rf.csv')
    const { out, code } = await shown({ labelled: file, unlabelled: file, segment: 'segment', risk: 0.1, ...COSTS })
    expect(code).toBe(0)
    expect(out.match(/^segment \w+$/gm)?.length).toBeGreaterThan(1)
  })

  test.each<[string, object, string]>([
    ['no risk', { risk: undefined }, '--risk: say how many errors are allowed'],
    ['one cost of three', { review: 4 }, '--wrong-execution, --wrong-reject and --review go together'],
    ['a cost that is no number', { ...COSTS, review: Number.NaN }, 'costs must be numbers from 0 up'],
    ['a policy that is not there', { policy: '/nowhere.yaml' }, '/nowhere.yaml: there is no such file'],
  ])('%s is said in a line', async (_, options, line) => {
    const { code, err } = await shown(options)
    expect(code).toBe(2)
    expect(err).toContain(line)
    expect(err.split('\n')).toHaveLength(1)
  })

  test('an unknown action, and costs that depend on the event, are told with what to do', async () => {
    expect((await shown({ policy: path('policy.yaml'), action: 'b' })).err).toBe(
      "--action: name one of the policy's actions, which are a",
    )
    expect((await shown({ policy: path('by-amount.yaml'), action: 'a' })).err).toBe(
      '--wrong-execution: the policy computes it by `event.attributes.amount`; say for which amount to look',
    )
  })

  test('bad lines are named as by certify', async () => {
    const { code, err } = await shown({ labelled: path('wrong.csv') })
    expect(code).toBe(2)
    expect(err).toContain('wrong.csv:3: score is `high`, which is no number')
  })
})
