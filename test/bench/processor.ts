import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { STDIO } from './drain.ts'
import type { Deployment } from './scene.ts'

const PRODUCT = join(import.meta.dirname, 'product.ts')

/** A whole processor in a process of its own, ready. */
export type RunningProcessor = {
  /** CPU used so far by all its threads, microseconds. */
  readonly cpuUs: () => Promise<number>
  readonly stop: () => Promise<void>
}

type Message = { readonly http?: string; readonly cpuUs?: number }

export async function startProcessor({ env }: Deployment): Promise<RunningProcessor> {
  const child = fork(PRODUCT, { env, stdio: STDIO })
  const exited = once(child, 'exit')
  const next = async (): Promise<Message> => ((await once(child, 'message')) as [Message])[0]
  const started = await Promise.race([next(), exited.then(() => null)])
  if (started?.http === undefined) throw new Error('the processor ended before it had started')
  while ((await fetch(`${started.http}/readyz`)).status !== 200) await sleep(50)
  return {
    cpuUs: async () => {
      child.send('cpu')
      return (await next()).cpuUs ?? Number.NaN
    },
    stop: async () => {
      child.disconnect()
      await exited
    },
  }
}
