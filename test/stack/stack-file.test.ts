import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { removeStackFile, writeStackFile } from '../../deploy/local/stack-file.ts'
import type { Stack } from '../../deploy/local/stack.ts'

const stack: Stack = {
  kind: 'local',
  brokers: ['127.0.0.1:9092'],
  registry: 'http://127.0.0.1:8081',
  redis: 'redis://127.0.0.1:6379',
  otlp: 'http://127.0.0.1:4318',
  traces: null,
  close: () => Promise.resolve(),
}
const file = join(mkdtempSync(join(tmpdir(), 'sluice-stack-file-')), 'folder', 'stack.json')
const read = (): unknown => JSON.parse(readFileSync(file, 'utf8'))

const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
afterAll(() => other.kill())

test('the addresses are written, and gone once the stack has ended', async () => {
  expect(await writeStackFile(stack, 'http://127.0.0.1:8080', file)).toBe(true)
  const { kind: _, close: __, ...addresses } = stack
  expect(read()).toEqual({ ...addresses, http: 'http://127.0.0.1:8080', pid: process.pid })
  await removeStackFile(file)
  expect(existsSync(file)).toBe(false)
  await removeStackFile(file)
})

test('a stack that runs keeps its file, and one that was killed does not', async () => {
  const theirs = { brokers: ['theirs:1'], pid: other.pid }
  writeFileSync(file, JSON.stringify(theirs))
  expect(await writeStackFile(stack, null, file)).toBe(false)
  expect(read()).toEqual(theirs)
  const ended = once(other, 'exit')
  other.kill('SIGKILL')
  await ended
  expect(await writeStackFile(stack, null, file)).toBe(true)
  expect(read()).toMatchObject({ brokers: stack.brokers, pid: process.pid })
})

test('a file that is half written is nobody’s', async () => {
  writeFileSync(file, '{"brokers": [')
  expect(await writeStackFile(stack, null, file)).toBe(true)
})
