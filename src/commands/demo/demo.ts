import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { StackKind } from '../../../deploy/local/stack.ts'
import { untilInterrupted } from '../interrupt.ts'
import { verdictLine } from '../verdict-line.ts'
import type { Child } from './children.ts'
import { announce, openStage, POLICIES, reportEnd, startService, STOP_MS } from './stage.ts'
import type { Stage } from './stage.ts'
import { Tally } from './tally.ts'
import { watchAnswers } from './watch.ts'

export type DemoOptions = {
  readonly stack: StackKind | undefined
  /** Stop after so many; null: run until interrupted. */
  readonly events: number | null
  readonly perSecond: number
  readonly seed: number
}

/** With no new verdict for so long, what is missing is taken to be lost, milliseconds. */
const PATIENCE_MS = 30_000
const TALLY_EVERY_MS = 5000

/**
 * `npm start`: a stack, the processor, a producer and an executor, each verdict on a line with its reasons. Ends with
 * Ctrl-C or after the given number of events: 0 when every event has exactly one verdict or dead letter, else 1.
 */
export async function demo(options: DemoOptions): Promise<number> {
  using interrupt = untilInterrupted()
  await using open = new AsyncDisposableStack()
  const standard = {
    SLUICE_POLICY: join(POLICIES, 'marketplace.yaml'),
    SLUICE_CALIBRATION: join(POLICIES, 'marketplace.calibration.json'),
  }
  const stage = await openStage({ stack: options.stack, standard, fixed: () => ({}) }, open)
  const tally = new Tally()
  await watchDemo(stage, tally, open)
  const service = await startService(stage, 'sluice', 'run', interrupt.signal)
  if (service === null) return 1
  const parts = startParts(stage, service.child, options, tally)
  await announce(stage, service.http, open)
  const complete = await untilDone(options, tally, parts, interrupt.signal)
  for (const line of ['', ...tally.summary()]) console.log(line)
  return complete && tally.repeated === 0 ? 0 : 1
}

type Parts = {
  readonly processor: Child
  readonly producer: Child
  readonly folder: string
  readonly sent: () => boolean
}

/** The producer starts last, so that nothing it sends is missed. */
function startParts(stage: Stage, processor: Child, options: DemoOptions, tally: Tally): Parts {
  stage.start('demo-executor', ['demo-executor'], ({ executed }) => executed !== undefined && tally.executed())
  let done = false
  const producer = stage.start('demo-producer', producerArgs(options), (message) => {
    if (message.sent !== undefined) tally.sent(message.sent, message.story ?? '')
    if (message.done !== undefined) done = true
  })
  return { processor, producer, folder: stage.folder, sent: () => done }
}

const producerArgs = ({ events, perSecond, seed }: DemoOptions): readonly string[] => [
  'demo-producer',
  '--rate',
  String(perSecond),
  '--seed',
  String(seed),
  ...(events === null ? [] : ['--events', String(events)]),
]

async function watchDemo({ config, records }: Stage, tally: Tally, open: AsyncDisposableStack): Promise<void> {
  const watching = new AbortController()
  open.defer(() => watching.abort())
  await watchAnswers(config, records, {
    signal: watching.signal,
    onVerdict: (verdict) => {
      tally.answered(verdict.decisionId, verdict.route, verdict.code)
      console.log(verdictLine(verdict))
    },
    onDeadLetter: (position, code, detail) => {
      tally.answered(position, 'dead letter', code)
      console.log(
        `${new Date().toISOString().slice(11, 23)}  ${styleText('magenta', 'dead letter')}  ${code}: ${detail}  ${styleText('dim', position)}`,
      )
    },
  })
}

/** Whether every event sent has an answer by then. */
async function untilDone(options: DemoOptions, tally: Tally, parts: Parts, signal: AbortSignal): Promise<boolean> {
  let lastProgress = { unanswered: -1, sent: -1, at: Date.now() }
  let lastTally = Date.now()
  for (;;) {
    await delay(50, undefined, { signal }).catch(() => undefined)
    if (Date.now() - lastTally > TALLY_EVERY_MS) {
      lastTally = Date.now()
      console.log(tally.line())
    }
    if (signal.aborted) return await settle(tally, parts)
    const [unanswered, sent] = [tally.unanswered.length, tally.sentCount]
    if (parts.sent() && unanswered === 0 && sent === options.events) return await untilExecuted(tally)
    if (parts.processor.over.aborted) {
      await reportEnd(parts.processor, 'has ended by itself', parts.folder)
      return false
    }
    if (unanswered !== lastProgress.unanswered || sent !== lastProgress.sent)
      lastProgress = { unanswered, sent, at: Date.now() }
    if (unanswered > 0 && Date.now() - lastProgress.at > PATIENCE_MS) return unansweredFor(tally)
  }
}

/** After an interrupt: no more events, and the verdicts of those that were sent are awaited for a moment. */
async function settle(tally: Tally, { producer }: Parts): Promise<boolean> {
  await producer.stop(STOP_MS)
  for (let waited = 0; tally.unanswered.length > 0 && waited < 3000; waited += 50) await delay(50)
  return tally.unanswered.length === 0 && (await untilExecuted(tally))
}

/** The executor follows a little behind. What it does not do in time (late, failed) is no failure of the verdicts. */
async function untilExecuted(tally: Tally): Promise<true> {
  for (let waited = 0; tally.undone > 0 && waited < 5000; waited += 50) await delay(50)
  return true
}

function unansweredFor(tally: Tally): boolean {
  const missing = tally.unanswered
  console.error(
    `${missing.length} events have no verdict after ${PATIENCE_MS / 1000} s: ${missing.slice(0, 10).join(', ')}`,
  )
  return false
}
