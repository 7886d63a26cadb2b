import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Rulebook } from '../../src/processor/ports.ts'
import type { Problem } from '../../src/policy/problem.ts'
import { readRulebook, watchRulebook, type WatchedRulebook, type WatchOptions } from '../../src/policy/watch.ts'
import { calibrationText } from './bad-calibrations.ts'
import { certificatesText, written } from './certificates.ts'
import { policyText } from './written.ts'

const versionText = (version: number): string => policyText({ head: `policy: shop\nversion: ${version}\n` })

let folder: string
let ending: AbortController
const changes: [next: Rulebook, previous: Rulebook][] = []
const rejected: (readonly Problem[])[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-watch-'))
  ending = new AbortController()
  changes.length = 0
  rejected.length = 0
})
afterEach(async () => {
  ending.abort()
  await rm(folder, { recursive: true })
})

/** On a busy machine soon may be later. */
const soon = (assertion: () => void): Promise<void> => vi.waitFor(assertion, 10_000)

const file = (name: string): string => join(folder, name)

async function watch(change: Partial<WatchOptions> = {}): Promise<WatchedRulebook> {
  const watching = await watchRulebook({
    policyFile: file('policy.yaml'),
    calibrationFile: null,
    certificatesFile: null,
    intervalMs: 5,
    signal: ending.signal,
    onChange: (next, previous) => changes.push([next, previous]),
    onRejected: (problems) => rejected.push(problems),
    ...change,
  })
  if (watching.kind === 'problems') expect.fail(JSON.stringify(watching.problems))
  return watching.rulebook
}

describe('a watched rulebook', () => {
  test('is taken over whole when its file changes', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch()
    const before = rulebook.current()
    await writeFile(file('policy.yaml'), versionText(2))
    await soon(() => expect(rulebook.current().policy.version).toBe(2))
    expect(changes).toEqual([[rulebook.current(), before]])
    expect(before.policy.version).toBe(1)
    expect([rulebook.rejections(), rejected]).toEqual([0, []])
  })

  test('stays in force when the file turns bad, which is told and counted once', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch()
    const before = rulebook.current()
    await writeFile(file('policy.yaml'), versionText(0))
    await soon(() => expect(rulebook.rejections()).toBe(1))
    await sleep(250)
    expect(rulebook.current()).toBe(before)
    expect(rejected).toMatchObject([
      [{ file: file('policy.yaml'), line: 2, column: 10, message: '`version` cannot be 0' }],
    ])
    await writeFile(file('policy.yaml'), versionText(3))
    await soon(() => expect(rulebook.current().policy.version).toBe(3))
    expect([rulebook.rejections(), changes.length]).toEqual([1, 1])
  })

  test('stays in force when the file goes away, and when it is no text', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch()
    await rm(file('policy.yaml'))
    await soon(() => expect(rulebook.rejections()).toBe(1))
    await writeFile(file('policy.yaml'), Buffer.from([0x70, 0xff, 0xfe]))
    await soon(() => expect(rulebook.rejections()).toBe(2))
    expect(rejected.map(([problem]) => problem?.message)).toEqual([
      'the file cannot be used: there is no such file',
      'the file is not UTF-8',
    ])
    expect(rulebook.current().policy.version).toBe(1)
  })

  test('is not judged by a file that is being written', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch({ settlingMs: 500 })
    const text = versionText(2)
    for (const end of [0, 40, 200]) {
      await writeFile(file('policy.yaml'), text.slice(0, end))
      await sleep(30)
    }
    await writeFile(file('policy.yaml'), text)
    await soon(() => expect(rulebook.current().policy.version).toBe(2))
    expect(rulebook.rejections()).toBe(0)
  })

  test('does not change when the file is written anew with the same content', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch()
    const before = rulebook.current()
    await writeFile(file('policy.new'), versionText(1))
    await rename(file('policy.new'), file('policy.yaml'))
    await sleep(250)
    expect(rulebook.current()).toBe(before)
    expect(changes).toEqual([])
  })

  test('follows links that are swapped from behind, as Kubernetes does, with policy and calibration together', async () => {
    for (const version of [1, 2]) {
      await mkdir(file(`v${version}`))
      await writeFile(file(`v${version}/policy.yaml`), versionText(version))
      await writeFile(
        file(`v${version}/calibration.json`),
        calibrationText(`model: { name: m${version}, version: "3" }, points: [[0, 0], [1, 1]]`),
      )
    }
    await symlink('v1', file('current'))
    const rulebook = await watch({
      policyFile: file('current/policy.yaml'),
      calibrationFile: file('current/calibration.json'),
    })
    await symlink('v2', file('next'))
    await rename(file('next'), file('current'))
    await soon(() => expect(rulebook.current().policy.version).toBe(2))
    expect(rulebook.current().calibration.tables[0]?.model.name).toBe('m2')
    expect(changes).toHaveLength(1)
  })

  test('starts without a certificate, and takes over the first one', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    await writeFile(file('certificates.json'), '{ "certificates": [] }')
    const rulebook = await watch({ certificatesFile: file('certificates.json') })
    const ids = () => rulebook.current().certificates.tree.certificates.map(({ id }) => id)
    expect(ids()).toEqual([])
    await writeFile(file('certificates.json'), certificatesText())
    await soon(() => expect(ids()).toEqual([written().id]))
  })

  test('takes certificates over, and keeps them while their file is bad', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    await writeFile(file('certificates.json'), certificatesText())
    const rulebook = await watch({ certificatesFile: file('certificates.json') })
    const ids = () => rulebook.current().certificates.tree.certificates.map(({ id }) => id)
    expect(ids()).toEqual([written().id])
    const forged = { ...written(), threshold: 0.1 }
    await writeFile(file('certificates.json'), certificatesText(forged))
    await soon(() => expect(rulebook.rejections()).toBe(1))
    expect(rejected).toMatchObject([[{ file: file('certificates.json'), line: 4, column: 13 }]])
    expect(ids()).toEqual([written().id])
    await writeFile(file('certificates.json'), certificatesText(written({ threshold: 0.95 })))
    await soon(() => expect(ids()).toEqual([written({ threshold: 0.95 }).id]))
    expect(rulebook.current().policy.version).toBe(1)
  })

  test('changes no more once it has ended', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    const rulebook = await watch()
    ending.abort()
    await writeFile(file('policy.yaml'), versionText(2))
    await sleep(250)
    expect(rulebook.current().policy.version).toBe(1)
  })
})

describe('what is wrong at the start is said at once', () => {
  test('in all files', async () => {
    await writeFile(file('policy.yaml'), versionText(0))
    await writeFile(file('calibration.json'), '{}')
    await writeFile(file('certificates.json'), '{}')
    const files = {
      policyFile: file('policy.yaml'),
      calibrationFile: file('calibration.json'),
      certificatesFile: file('certificates.json'),
    }
    const watching = await watchRulebook({ ...files, signal: ending.signal })
    expect(watching).toMatchObject({
      kind: 'problems',
      problems: [
        { file: files.policyFile },
        { file: files.calibrationFile, message: 'the calibration needs `tables`' },
        { file: files.certificatesFile, message: 'the file needs `certificates`' },
      ],
    })
  })

  test('without a calibration and certificates there are none', async () => {
    await writeFile(file('policy.yaml'), versionText(1))
    expect(
      await readRulebook({ policyFile: file('policy.yaml'), calibrationFile: null, certificatesFile: null }),
    ).toMatchObject({
      kind: 'rulebook',
      rulebook: {
        policy: { version: 1 },
        calibration: { tables: [], digest: null, text: null },
        certificates: { digest: null, text: null },
      },
    })
  })
})
