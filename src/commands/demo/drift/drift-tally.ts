import type { Verdict } from '../../../decision/verdict.ts'
import type { DriftPlan } from './drift-plan.ts'
import { RAW_THRESHOLD } from './drift-plan.ts'

/** What was executed, and what of that should not have been. */
export type Executed = { readonly executed: number; readonly wrong: number }

const NOTHING: Executed = { executed: 0, wrong: 0 }

export const shareOf = ({ executed, wrong }: Executed): number => (executed === 0 ? 0 : wrong / executed)

const plus = ({ executed, wrong }: Executed, right: boolean): Executed => ({
  executed: executed + 1,
  wrong: wrong + (right ? 0 : 1),
})

/** The certificate and the plain threshold, over the same decided events. */
export type Sides = { readonly certified: Executed; readonly raw: Executed }

/** The first verdict that relied on the certificate no longer; `sent` events were sent by then. */
export type Withdrawn = {
  readonly certificate: string
  readonly reason: string
  readonly sent: number
  readonly at: number
}

type Sent = { readonly number: number; readonly right: boolean }

/** Everything that the drift demo counts. Each event counts once, however often it is answered. */
export class DriftTally {
  readonly #plan: DriftPlan
  /** By event id. */
  readonly #waiting = new Map<string, Sent>()
  readonly #answered = new Set<string>()
  readonly #handled = new Set<string>()
  #sent = 0
  #repeated = 0
  #whole: Sides = { certified: NOTHING, raw: NOTHING }
  #drifted: Sides = { certified: NOTHING, raw: NOTHING }
  #afterwards: Sides = { certified: NOTHING, raw: NOTHING }
  #certificate: Verdict['score']['certificate'] = null
  #withdrawn: Withdrawn | null = null
  #driftedAt: number | null = null

  constructor(plan: DriftPlan) {
    this.#plan = plan
  }

  /** Before it is sent, so that no answer comes before it is known. `now` in milliseconds. */
  sending(id: string, right: boolean, now: number): void {
    if (this.#sent === this.#plan.driftAt) this.#driftedAt = now
    this.#waiting.set(id, { number: this.#sent, right })
    this.#sent += 1
  }

  /** Whether it would be right to do it; undefined for an event that is none of this run's. */
  truthOf(id: string): boolean | undefined {
    return this.#waiting.get(id)?.right
  }

  /** Answers what has changed, for people to be told. */
  answered(verdict: Verdict, now: number): 'executes' | 'withdrawn' | null {
    const { id } = verdict.event
    const sent = this.#waiting.get(id)
    if (sent === undefined) return null
    if (this.#answered.has(id)) {
      this.#repeated += 1
      return null
    }
    this.#answered.add(id)
    this.#count(verdict, sent)
    if (verdict.route === 'execute' && this.#certificate === null) {
      this.#certificate = verdict.score.certificate
      return 'executes'
    }
    if (verdict.code !== 'calibration.withdrawn' || this.#withdrawn !== null) return null
    const [{ subject, detail } = { subject: null, detail: '' }] = verdict.findings
    this.#withdrawn = { certificate: subject ?? '', reason: detail, sent: this.#sent, at: now }
    return 'withdrawn'
  }

  #count({ route, event }: Verdict, { number, right }: Sent): void {
    const isRaw = (event.confidence ?? 0) > RAW_THRESHOLD
    const with_ = ({ certified, raw }: Sides): Sides => ({
      certified: route === 'execute' ? plus(certified, right) : certified,
      raw: isRaw ? plus(raw, right) : raw,
    })
    this.#whole = with_(this.#whole)
    if (number >= this.#plan.driftAt) this.#drifted = with_(this.#drifted)
    if (number >= (this.#withdrawn?.sent ?? Infinity)) this.#afterwards = with_(this.#afterwards)
  }

  /** The executor has done it, or a reviewer has said what it is. */
  handled(id: string): void {
    this.#handled.add(id)
  }

  get sent(): number {
    return this.#sent
  }

  get unanswered(): number {
    return this.#sent - this.#answered.size
  }

  get repeated(): number {
    return this.#repeated
  }

  /** Decided, and neither executed nor reviewed yet. */
  get unhandled(): number {
    return this.#answered.size - this.#handled.size
  }

  get certificate(): string | null {
    return this.#certificate
  }

  get withdrawn(): Withdrawn | null {
    return this.#withdrawn
  }

  /** From the first event after the drift to the first verdict after the withdrawal; null where there is none. */
  get delay(): { readonly events: number; readonly ms: number } | null {
    if (this.#withdrawn === null || this.#driftedAt === null) return null
    return { events: this.#withdrawn.sent - this.#plan.driftAt, ms: this.#withdrawn.at - this.#driftedAt }
  }

  get whole(): Sides {
    return this.#whole
  }

  /** Of the events since the model errs more. */
  get drifted(): Sides {
    return this.#drifted
  }

  /** Of the events sent when the withdrawal had been heeded. */
  get afterwards(): Sides {
    return this.#afterwards
  }
}
