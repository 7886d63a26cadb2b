import { expect, test } from 'vitest'
import { unlessAborted } from '../../src/kafka/waiting.ts'

test('work that fails after nobody waits for it any more ends no process', async () => {
  const unheard: unknown[] = []
  const listen = (reason: unknown): void => void unheard.push(reason)
  process.on('unhandledRejection', listen)
  const failure = Promise.withResolvers<never>()
  const reason = new Error('stopped')
  await expect(unlessAborted(failure.promise, AbortSignal.abort(reason))).rejects.toBe(reason)
  failure.reject(new Error('too late'))
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('unhandledRejection', listen)
  expect(unheard).toEqual([])
})
