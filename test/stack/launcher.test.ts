import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { VERSION } from '../../src/version.ts'

const LAUNCHER = join('deploy', 'local', 'sluice.mjs')
const ROOT = join(import.meta.dirname, '..', '..')
const clone = mkdtempSync(join(tmpdir(), 'sluice-clone-'))

afterAll(() => rmSync(clone, { recursive: true, force: true }))

const run = (root: string, nodeArguments: readonly string[] = []) =>
  spawnSync(process.execPath, [...nodeArguments, join(root, LAUNCHER), '--version'], { encoding: 'utf8' })

test('`npx sluice` is the command line', () => {
  expect(run(ROOT)).toMatchObject({ status: 0, stdout: `${VERSION}\n` })
})

test('in a clone where nothing is installed it says what to do, in one line', () => {
  cpSync(join(ROOT, LAUNCHER), join(clone, LAUNCHER))
  const { status, stderr, stdout } = run(clone)
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^sluice: its dependencies are not installed yet; run `npm start`[^\n]*\n$/)
})

test('with a Node that cannot read the sources it says which one can, in one line', () => {
  mkdirSync(join(clone, 'node_modules', 'commander'), { recursive: true })
  const older = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.1.0'})"
  const { status, stderr } = run(clone, ['--import', older])
  expect(status).toBe(1)
  expect(stderr).toMatch(/^sluice: this is Node 20\.1\.0; `npx sluice` [^\n]*\n$/)
})
