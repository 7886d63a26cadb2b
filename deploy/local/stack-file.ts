import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Stack } from './stack.ts'

/** Where other programs find what runs: `.sluice/stack.json` of the checkout. */
export const STACK_FILE = join(import.meta.dirname, '..', '..', '.sluice', 'stack.json')

/** Writes the addresses of the running stack; `http` is the processor's own, null as long as it does not run. */
export async function writeStackFile(stack: Stack, http: string | null): Promise<void> {
  const { brokers, registry, redis, otlp, traces } = stack
  await mkdir(dirname(STACK_FILE), { recursive: true })
  await writeFile(STACK_FILE, `${JSON.stringify({ brokers, registry, redis, http, otlp, traces }, null, 2)}\n`)
}

/** A stack that has ended is not to be found any more. */
export const removeStackFile = (): Promise<void> => rm(STACK_FILE, { force: true })
