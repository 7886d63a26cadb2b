import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until there is an answer that is not false, null or undefined; rejects with `what` after `withinMs`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  withinMs = 30_000,
): Promise<T> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== null && answer !== undefined) return answer
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(25)
  }
}
