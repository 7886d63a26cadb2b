import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Stack } from './stack.ts'

/** Where other programs find what runs: `.sluice/stack.json` of the checkout. */
export const STACK_FILE = join(import.meta.dirname, '..', '..', '.sluice', 'stack.json')

/**
 * Writes the addresses of the running stack and the process that runs it; `http` is the processor's own, null as long as
 * it does not run. Where another process that still runs has written its own, that one stays: returns false.
 */
export async function writeStackFile(stack: Stack, http: string | null, file = STACK_FILE): Promise<boolean> {
  const owner = await ownerOf(file)
  if (owner !== null && owner !== process.pid && isRunning(owner)) return false
  const { brokers, registry, redis, otlp, traces } = stack
  await mkdir(dirname(file), { recursive: true })
  const content = { brokers, registry, redis, http, otlp, traces, pid: process.pid }
  // Renamed into place, so that who waits for the file never reads half of it.
  const draft = `${file}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(content, null, 2)}\n`)
  await rename(draft, file)
  return true
}

/** A stack that has ended is not to be found any more. */
export const removeStackFile = (file = STACK_FILE): Promise<void> => rm(file, { force: true })

/** Null for a file that is not there, or that a killed process left half written. */
async function ownerOf(file: string): Promise<number | null> {
  try {
    const { pid } = JSON.parse(await readFile(file, 'utf8')) as { readonly pid?: unknown }
    return typeof pid === 'number' ? pid : null
  } catch {
    return null
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
