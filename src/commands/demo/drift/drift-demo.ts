import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../../kafka/errors.ts'
import { produceModelOutputs } from '../../../sdk/index.ts'
import { sdkAccess } from '../../access.ts'
import { untilInterrupted } from '../../interrupt.ts'
import type { Child } from '../children.ts'
import { announce, openStage, POLICIES, reportEnd, startService } from '../stage.ts'
import type { Stage } from '../stage.ts'
import { watchAnswers } from '../watch.ts'
import { headLines, isBroken, newsLine, summaryLines, tallyLine } from './drift-lines.ts'
import { runDriftPeople } from './drift-people.ts'
import { driftPlan, MATURITY_MS, PROMISE } from './drift-plan.ts'
import type { DriftOptions, DriftPlan } from './drift-plan.ts'
import { DriftTally } from './drift-tally.ts'
import { DRIFTING, driftingModel } from './drifting-model.ts'

const TALLY_EVERY_MS = 3000
const SEND_EVERY_MS = 20
/** With no new verdict for so long, what is missing is taken to be lost, milliseconds. */
const PATIENCE_MS = 30_000
const EMPTY = '{ "certificates": [] }\n'

/**
 * `npm start -- --demo drift`: labels of a stream give a certificate, things are executed on it, the model drifts, the monitor
 * withdraws it; beside it what a plain threshold does with the same events. 0 when the promise was kept, the certificate
 * withdrawn and every event decided exactly once; else 1, or 2 where the options cannot be.
 */
export async function driftDemo(options: DriftOptions): Promise<number> {
  const plan = driftPlan(options)
  if (typeof plan === 'string') {
    console.error(plan)
    return 2
  }
  using interrupt = untilInterrupted()
  await using open = new AsyncDisposableStack()
  const stage = await openStage({ stack: options.stack, standard: {}, fixed: settingsOf }, open)
  await writeFile(certificatesOf(stage.folder), EMPTY)
  const services = await startServices(stage, interrupt.signal)
  if (services === null) return 1
  await announce(stage, services.processor.http, open)
  const demo = new DriftDemo(stage, plan, [services.processor.child, services.monitor.child])
  const isWhole = await demo.run(interrupt.signal)
  for (const line of ['', ...summaryLines(demo.tally, plan), ...demo.hints()]) console.log(line)
  const isShown = interrupt.signal.aborted || isWithdrawn(demo.tally)
  return isWhole && isShown && !isBroken(demo.tally) ? 0 : 1
}

const isWithdrawn = ({ withdrawn, afterwards }: DriftTally): boolean =>
  withdrawn !== null && afterwards.certified.executed === 0

const certificatesOf = (folder: string): string => join(folder, 'certificates.json')

const settingsOf = (folder: string) => ({
  SLUICE_POLICY: join(POLICIES, 'drift.yaml'),
  SLUICE_CERTIFICATES: certificatesOf(folder),
  SLUICE_MATURITY_MS: String(MATURITY_MS),
  SLUICE_SETTLE_MS: '500',
  SLUICE_HTTP_PORT: '0',
})

async function startServices(stage: Stage, signal: AbortSignal) {
  const processor = await startService(stage, 'sluice', 'run', signal)
  const monitor = processor === null ? null : await startService(stage, 'monitor', 'monitor', signal)
  return processor === null || monitor === null ? null : { processor, monitor }
}

class DriftDemo {
  readonly tally: DriftTally
  readonly #stage: Stage
  readonly #plan: DriftPlan
  readonly #services: readonly Child[]
  /** Tells this run's events from those of another on the same servers. */
  readonly #run = `drift-${Date.now().toString(36)}`
  #doing = 'people label everything'
  #failure: string | null = null

  constructor(stage: Stage, plan: DriftPlan, services: readonly Child[]) {
    this.#stage = stage
    this.#plan = plan
    this.#services = services
    this.tally = new DriftTally(plan)
  }

  /** Whether every event was decided exactly once and nothing failed. */
  async run(signal: AbortSignal): Promise<boolean> {
    const over = new AbortController()
    const parts = AbortSignal.any([signal, over.signal, ...this.#services.map((it) => it.over)])
    try {
      await this.#watch(over.signal)
      const people = runDriftPeople(this.#stage.config, this.#run, this.tally, over.signal)
      const certifying = this.#certify(new Date(), parts)
      for (const line of headLines()) console.log(line)
      const telling = setInterval(() => console.log(tallyLine(this.tally, this.#doing)), TALLY_EVERY_MS)
      try {
        const all = Promise.all([this.#send(parts), certifying]).then(() => this.#untilAnswered())
        // Where people fail first, what becomes of the rest is of no interest any more.
        all.catch(() => undefined)
        await Promise.race([all, people])
      } finally {
        clearInterval(telling)
        over.abort()
      }
      await people
    } catch (error) {
      this.#failure = messageOf(error)
    }
    await this.#reportEnds()
    if (this.#failure !== null) console.error(this.#failure)
    return this.#failure === null && this.tally.unanswered === 0 && this.tally.repeated === 0
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { config, records } = this.#stage
    await watchAnswers(config, records, {
      signal,
      onVerdict: (verdict) => {
        const news = this.tally.answered(verdict, Date.now())
        if (news === 'executes') this.#news('executes start', 'executed on the certificate')
        if (news === 'withdrawn') this.#news(this.#withdrawal(), 'nothing is executed any more')
      },
      onDeadLetter: (position, code, detail) => console.error(`${position} is a dead letter: ${code}: ${detail}`),
    })
  }

  #withdrawal(): string {
    const { delay, withdrawn } = this.tally
    const when = delay === null ? '' : `, ${(delay.ms / 1000).toFixed(1)} s and ${delay.events} events after the drift`
    return `executes stop${when}: ${withdrawn?.reason ?? ''}`
  }

  #news(text: string, doing: string): void {
    this.#doing = doing
    console.log(newsLine(text))
  }

  async #send(over: AbortSignal): Promise<void> {
    const { events, perSecond, driftAt, seed } = this.#plan
    const { config } = this.#stage
    const producer = produceModelOutputs({ ...sdkAccess(config), topic: config.TOPIC_INPUT })
    const model = driftingModel(seed, this.#run, driftAt, Date.now)
    const started = performance.now()
    try {
      while (this.tally.sent < events && !over.aborted) {
        const due = Math.min(events, Math.ceil(((performance.now() - started) / 1000) * perSecond))
        const proposals = Array.from({ length: due - this.tally.sent }, () => model.next().value)
        if (this.tally.sent < driftAt && due >= driftAt)
          this.#news(
            `the model drifts: from event ${driftAt} on it errs more, and states the same confidence`,
            'drifted',
          )
        for (const { event, right } of proposals) this.tally.sending(event.id, right, Date.now())
        await producer.send(proposals.map(({ event }) => event))
        await delay(SEND_EVERY_MS, undefined, { signal: over }).catch(() => undefined)
      }
    } finally {
      await producer.close()
    }
  }

  /** `sluice certify --from-topics` once the first events are of full age, into the file that the processor looks at. */
  async #certify(since: Date, over: AbortSignal): Promise<void> {
    const hasHistory = (): boolean => this.tally.sent >= this.#plan.historyEnds
    while (!hasHistory() && !over.aborted) await delay(50)
    await delay(MATURITY_MS + 500, undefined, { signal: over }).catch(() => undefined)
    if (over.aborted) return
    const args = this.#certifyArgs(since)
    this.#news(`sluice ${args.join(' ')}`, 'certifying')
    const code = await this.#stage.start('certify', args).ended
    const said = await readFile(join(this.#stage.folder, 'certify.log'), 'utf8')
    // What follows is every threshold that was tested.
    const [result = ''] = said.split('\nthreshold  ')
    for (const line of result.trimEnd().split('\n')) console.log(`  ${line}`)
    if (code !== 0) throw new Error(`no certificate was found (exit code ${code}): nothing will be executed`)
  }

  #certifyArgs(since: Date): readonly string[] {
    const { model, action, scoreKind } = DRIFTING
    const demand = ['--risk', String(PROMISE.risk), '--assurance', String(PROMISE.assurance), '--valid-for', '1h']
    const bound = ['--model', `${model.name}@${model.version}`, '--action', action, '--score-kind', scoreKind]
    const out = certificatesOf(this.#stage.folder)
    return ['certify', '--from-topics', '--from', since.toISOString(), ...bound, ...demand, '-o', out]
  }

  /** Verdicts follow a little behind, and so do the executor and the reviewers; what is missing for long is lost. */
  async #untilAnswered(): Promise<void> {
    let last = { unanswered: -1, unhandled: -1, at: Date.now() }
    while (this.tally.unanswered > 0 || this.tally.unhandled > 0) {
      const { unanswered, unhandled } = this.tally
      if (unanswered !== last.unanswered || unhandled !== last.unhandled)
        last = { unanswered, unhandled, at: Date.now() }
      if (Date.now() - last.at > PATIENCE_MS || this.#services.some((it) => it.over.aborted)) return
      await delay(50)
    }
  }

  async #reportEnds(): Promise<void> {
    for (const service of this.#services.filter(({ over }) => over.aborted)) {
      this.#failure ??= `${service.name} has ended by itself`
      await reportEnd(service, 'has ended by itself', this.#stage.folder)
    }
  }

  hints(): readonly string[] {
    const { certificate } = this.tally
    if (certificate === null) return []
    const file = certificatesOf(this.#stage.folder)
    const command = `npx sluice report --certificate ${certificate} --certificates ${file} -o report.html`
    return ['', `All about the certificate on one page: ${command}`]
  }
}
