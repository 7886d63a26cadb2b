import type { AuditedExecution, CountingRules, Report } from './execution.ts'
import { countOutcome, newCertificateWatch, type Alarm, type CertificateWatch } from './certificate-watch.ts'
import { Maturation, type Needed } from './maturation.ts'

/**
 * What the watch knows once everything of full age by `boundary` (milliseconds since 1970) has been counted: a function of
 * both topics and the rules alone, however and how often they were read. Certificates in the order of their ids.
 */
export type WatchState = {
  readonly rules: CountingRules
  readonly boundary: number
  readonly certificates: readonly CertificateWatch[]
}

export const NOTHING_WATCHED = (rules: CountingRules): WatchState => ({ rules, boundary: 0, certificates: [] })

/** A certificate on which nothing was executed for so long is forgotten, milliseconds. */
const FORGOTTEN_AFTER_MS = 400 * 86_400_000

/**
 * Joins audited executions with what is said of them and weighs the evidence against each certificate. Records of a topic's
 * partition must be given in order; nothing else about how they are given matters.
 */
export class Watch {
  readonly #rules: CountingRules
  readonly #maturation: Maturation
  readonly #certificates: Map<string, CertificateWatch>

  constructor({ rules, boundary, certificates }: WatchState) {
    this.#rules = rules
    this.#maturation = new Maturation(rules.maturityMs, boundary)
    this.#certificates = new Map(certificates.map((it) => [it.certificate, it]))
  }

  /** False: its age was counted already, so it is left out. */
  execute(execution: AuditedExecution): boolean {
    return this.#maturation.execute(execution)
  }

  report(report: Report): void {
    this.#maturation.report(report)
  }

  /** Counts what is of full age by `boundary`; every record of both topics up to then must have been given. */
  advance(boundary: number): readonly Alarm[] {
    const alarms: Alarm[] = []
    for (const matured of this.#maturation.advance(boundary)) {
      const { certificate } = matured.execution
      const before = this.#known(certificate, matured.execution.decidedAt) ?? newCertificateWatch(matured.execution)
      const { watch, alarm } = countOutcome(before, matured, this.#rules)
      this.#certificates.set(certificate, watch)
      if (alarm !== null) alarms.push(alarm)
    }
    return alarms
  }

  /** Forgotten by the time of the next execution or of looking, so that it does not matter when it is looked. */
  #known(certificate: string, now: number): CertificateWatch | undefined {
    const known = this.#certificates.get(certificate)
    return known !== undefined && known.lastDecidedAt < now - FORGOTTEN_AFTER_MS ? undefined : known
  }

  get state(): WatchState {
    const { boundary } = this.#maturation
    const certificates = [...this.#certificates.values()]
      .filter(({ certificate }) => this.#known(certificate, boundary) !== undefined)
      .toSorted((a, b) => (a.certificate < b.certificate ? -1 : 1))
    return { rules: this.#rules, boundary, certificates }
  }

  /** Executions that are not of full age, by certificate. */
  get immature(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { certificate } of this.#maturation.waiting) counts.set(certificate, (counts.get(certificate) ?? 0) + 1)
    return counts
  }

  get needed(): Needed {
    return this.#maturation.needed
  }
}
