import type { Verdict } from '../decision/verdict.ts'
import { HandedOver } from './handed-over.ts'
import { readVerdicts } from './read-verdicts.ts'
import type { Delivery, ReadOptions } from './read-verdicts.ts'
import { reportOutcomes } from './report-outcomes.ts'
import type { Receipt } from './record-writer.ts'
import type { OutcomeInput, OutcomeOptions, OutcomeReporter } from './report-outcomes.ts'

export type ExecutorOptions = Omit<ReadOptions, 'routes'> & {
  /**
   * Asked before an action is executed for the first time; false: somebody else has executed it or is about to. This is
   * where several processes agree, in a store they share (`SET key NX`, or an insert under a unique key). An action that
   * a process claimed and did not finish before it died is executed by nobody until its claim lapses.
   */
  readonly claim?: (actionKey: string, verdict: Verdict) => Promise<boolean> | boolean
  /** Told of a verdict that came, or failed for so long, that its `notAfter` has passed. It is not executed. */
  readonly onLate?: (verdict: Verdict) => Promise<void> | void
  /** Reports `executed` and `failed` receipts where given, and labels that the handler knows. */
  readonly outcomes?: Pick<OutcomeOptions, 'topic' | 'source'>
  /** How many action keys to remember and for how long, milliseconds; 100,000 and a day if not given. */
  readonly remember?: { readonly max: number; readonly ttlMs: number }
  /** Milliseconds since 1970; `notAfter` is compared with it. */
  readonly now?: () => number
}

/**
 * What is to be executed. `actionKey` is what to deduplicate on wherever the action has its effect. `report` is for an
 * executor that knows whether the action was right; it rejects where no `outcomes` are given.
 */
export type Execution = Delivery & {
  readonly actionKey: string
  readonly report: (outcome: OutcomeInput) => Promise<Receipt>
}

/** A text that is returned becomes the outcome's detail. */
export type ExecutionHandler = (verdict: Verdict, execution: Execution) => Promise<string | void> | string | void

const REMEMBER = { max: 100_000, ttlMs: 86_400_000 }

/**
 * Executes what may be executed: hands each action key over until the handler has succeeded once in this process, and
 * never after the verdict's `notAfter`. After a crash, or when partitions change hands between processes, a key that was
 * executed and not yet committed comes again: the handler, or `claim`, must know it by its action key.
 */
export async function runExecutor(options: ExecutorOptions, handler: ExecutionHandler): Promise<void> {
  const { kafka, registry, outcomes } = options
  const reporter = outcomes === undefined ? null : reportOutcomes({ kafka, registry, ...outcomes })
  const executor = new Executor(options, handler, reporter)
  try {
    await readVerdicts({ ...options, routes: ['execute'] }, (verdict, delivery) => executor.take(verdict, delivery))
  } finally {
    await reporter?.close()
  }
}

class Executor {
  readonly #options: ExecutorOptions
  readonly #handler: ExecutionHandler
  readonly #reporter: OutcomeReporter | null
  readonly #done: HandedOver
  readonly #running = new Map<string, Promise<void>>()
  /** Ours to execute, and not finished. */
  readonly #claimed = new Set<string>()
  /** Finished, and not reported yet. */
  readonly #unreported = new Map<string, OutcomeInput>()
  readonly #now: () => number

  constructor(options: ExecutorOptions, handler: ExecutionHandler, reporter: OutcomeReporter | null) {
    const { max, ttlMs } = options.remember ?? REMEMBER
    this.#options = options
    this.#handler = handler
    this.#reporter = reporter
    this.#now = options.now ?? Date.now
    this.#done = new HandedOver(max, ttlMs, this.#now)
  }

  /** Two records with one key, in different partitions or after a rebalance, are taken one after the other. */
  async take(verdict: Verdict, delivery: Delivery): Promise<void> {
    const { actionKey } = verdict
    for (let other = this.#running.get(actionKey); other !== undefined; other = this.#running.get(actionKey)) {
      await other.catch(() => undefined)
    }
    const taking = this.#take(verdict, delivery).finally(() => this.#running.delete(actionKey))
    this.#running.set(actionKey, taking)
    await taking
  }

  async #take(verdict: Verdict, delivery: Delivery): Promise<void> {
    const { actionKey } = verdict
    if (!this.#done.has(actionKey)) await this.#execute(verdict, delivery)
    const outcome = this.#unreported.get(actionKey)
    if (outcome === undefined) return
    await this.#reporter?.report(verdict, outcome)
    this.#unreported.delete(actionKey)
  }

  async #execute(verdict: Verdict, delivery: Delivery): Promise<void> {
    const { actionKey } = verdict
    if (this.#isLate(verdict)) {
      await this.#options.onLate?.(verdict)
      const detail = delivery.attempt === 1 ? 'came after its notAfter' : 'no attempt succeeded before its notAfter'
      return this.#finish(actionKey, { kind: 'failed', detail })
    }
    if (!(await this.#isOurs(verdict))) return
    const report = (outcome: OutcomeInput): Promise<Receipt> => this.#report(verdict, outcome)
    const detail = await this.#handler(verdict, { ...delivery, actionKey, report })
    this.#finish(actionKey, { kind: 'executed', ...(typeof detail === 'string' ? { detail } : {}) })
  }

  async #report(verdict: Verdict, outcome: OutcomeInput): Promise<Receipt> {
    if (this.#reporter === null) throw new Error('an outcome is reported only where runExecutor is given `outcomes`')
    return await this.#reporter.report(verdict, outcome)
  }

  /** A time that is no number is late. */
  #isLate({ notAfter }: Verdict): boolean {
    return notAfter !== null && !(this.#now() <= notAfter)
  }

  async #isOurs(verdict: Verdict): Promise<boolean> {
    const { actionKey } = verdict
    if (this.#options.claim === undefined || this.#claimed.has(actionKey)) return true
    if (!(await this.#options.claim(actionKey, verdict))) return false
    this.#claimed.add(actionKey)
    return true
  }

  #finish(actionKey: string, outcome: OutcomeInput): void {
    this.#claimed.delete(actionKey)
    this.#done.add(actionKey)
    if (this.#reporter !== null) this.#unreported.set(actionKey, outcome)
  }
}
