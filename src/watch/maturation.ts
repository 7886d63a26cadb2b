import type { AuditedExecution, Place, Report } from './execution.ts'
import { labelAt, type Label } from './label.ts'

/** A report is never written before the verdict it is about; clocks may differ by so much, milliseconds. */
const CLOCK_SKEW_MS = 60_000

type Open = { readonly execution: AuditedExecution; readonly reports: Report[] }

/** An execution of full age, with what was said of it until then. */
export type Matured = Label & { readonly execution: AuditedExecution }

/** Where reading must begin for all that is not counted yet to be seen again: per partition the first such offset. */
export type Needed = {
  readonly executions: ReadonlyMap<number, number>
  readonly reports: ReadonlyMap<number, number>
}

/**
 * Keeps audited executions until they are of full age, with what is said of them meanwhile, and gives them out in an order
 * that does not depend on how the topics were read: by the time of decision, then by place. All of one age are counted at
 * that age, since errors may be reported sooner than successes. Holds no more than one full age of executions.
 */
export class Maturation {
  readonly #maturityMs: number
  readonly #open = new Map<string, Open>()
  /** About executions that were not read yet, or that are none of ours. */
  readonly #unclaimed = new Map<string, Report[]>()
  #queue: AuditedExecution[] = []
  #boundary: number
  #sorted = true

  constructor(maturityMs: number, boundary: number) {
    this.#maturityMs = maturityMs
    this.#boundary = boundary
  }

  /** Everything of full age by then was given out; milliseconds since 1970. */
  get boundary(): number {
    return this.#boundary
  }

  get waiting(): readonly AuditedExecution[] {
    return [...this.#open.values()].map(({ execution }) => execution)
  }

  /** False: it came when its age was counted already, and is not taken. Of two with one key the earlier counts. */
  execute(execution: AuditedExecution): boolean {
    if (this.#maturesAt(execution) <= this.#boundary) return false
    const { actionKey } = execution
    const other = this.#open.get(actionKey)
    if (other !== undefined && inOrder(other.execution, execution) <= 0) return true
    const reports = other?.reports ?? this.#unclaimed.get(actionKey) ?? []
    this.#unclaimed.delete(actionKey)
    this.#open.set(actionKey, { execution, reports })
    this.#queue.push(execution)
    this.#sorted = false
    return true
  }

  report(report: Report): void {
    const { actionKey } = report
    const known = this.#open.get(actionKey)?.reports ?? this.#unclaimed.get(actionKey)
    if (known === undefined) this.#unclaimed.set(actionKey, [report])
    else if (!known.some(({ place }) => samePlace(place, report.place))) known.push(report)
  }

  /** What is of full age by `boundary`, before which every record of both topics must have been given. */
  advance(boundary: number): readonly Matured[] {
    if (!(boundary > this.#boundary)) return []
    this.#boundary = boundary
    if (!this.#sorted) this.#queue.sort(inOrder)
    this.#sorted = true
    const found = this.#queue.findIndex((it) => this.#maturesAt(it) > boundary)
    const matured = this.#queue.splice(0, found < 0 ? this.#queue.length : found)
    this.#forgetUnclaimed()
    return matured.flatMap((it) => this.#close(it))
  }

  get needed(): Needed {
    const executions = new Map<number, number>()
    const reports = new Map<number, number>()
    for (const { execution, reports: ofOne } of this.#open.values()) {
      lower(executions, execution.place)
      for (const { place } of ofOne) lower(reports, place)
    }
    for (const ofOne of this.#unclaimed.values()) for (const { place } of ofOne) lower(reports, place)
    return { executions, reports }
  }

  #maturesAt({ decidedAt }: AuditedExecution): number {
    return decidedAt + this.#maturityMs
  }

  #close(execution: AuditedExecution): readonly Matured[] {
    const open = this.#open.get(execution.actionKey)
    if (open?.execution !== execution) return []
    this.#open.delete(execution.actionKey)
    return [{ execution, ...labelAt(open.reports, this.#maturesAt(execution)) }]
  }

  #forgetUnclaimed(): void {
    for (const [actionKey, reports] of this.#unclaimed) {
      if (reports.every(({ at }) => at <= this.#boundary - CLOCK_SKEW_MS)) this.#unclaimed.delete(actionKey)
    }
  }
}

const inOrder = (a: AuditedExecution, b: AuditedExecution): number =>
  a.decidedAt - b.decidedAt || a.place.partition - b.place.partition || a.place.offset - b.place.offset

const samePlace = (a: Place, b: Place): boolean => a.partition === b.partition && a.offset === b.offset

function lower(offsets: Map<number, number>, { partition, offset }: Place): void {
  const known = offsets.get(partition)
  if (known === undefined || offset < known) offsets.set(partition, offset)
}
