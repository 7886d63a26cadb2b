import { pino } from 'pino'
import type { DestinationStream, Logger as PinoLogger } from 'pino'
import type { Observer } from '../processor/ports.ts'
import { positionOf } from './trace-link.ts'

export type Logger = PinoLogger
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * What no line may show, wherever it stands in a logged object: secrets, and what events and contexts are made of.
 * Pino's wildcard covers one level; nothing here logs deeper.
 */
const HIDDEN = [
  'password secret token authorization sasl headers'.split(' '),
  'key value payload attributes actor subject event context verdict'.split(' '),
].flat()

/** One JSON object a line, to stdout; times as RFC 3339. A terminal gets the same, so that a pipe changes nothing. */
export function createLogger(level: LogLevel, service: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: 'message',
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: HIDDEN.flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** Lines of one kind within this time are counted and told in one, milliseconds. */
const QUIET_MS = 10_000

/** Logs what an operator must see: dead letters, discarded transactions, refusals by state. Verdicts only at debug. */
export function logObserver(logger: Logger, now: () => number): Observer {
  const sparing = sparingly(now)
  return {
    committed: (decided, times) => {
      logger.debug({ records: decided.length, ms: times.committed - times.polled }, 'batch committed')
      for (const one of decided) {
        if (one.kind === 'verdict') continue
        const facts = { position: positionOf(one.record), code: one.fault.code, traceId: one.link.traceId }
        sparing(one.fault.code, (more) => logger.warn({ ...facts, ...more }, 'record set aside as a dead letter'))
      }
    },
    discarded: (code, records) =>
      sparing(`discarded ${code}`, (more) =>
        logger.warn({ code, records, ...more }, 'transaction discarded; the batch is read again'),
      ),
    refused: (refusal) =>
      sparing(`refused ${refusal.kind}`, (more) =>
        logger.warn({ ...more, ...reasonOf(refusal) }, REFUSALS[refusal.kind]),
      ),
    isolated: (why) => {
      if (why.kind === 'error') logger.error(whereThrown(why.error), FAILED)
      else logger.warn({ partition: why.partition, ...why.suspicion }, DEATHS[why.suspicion.deaths] ?? DEATHS[3])
    },
  }
}

type Refusal = Parameters<Observer['refused']>[0]

const REFUSALS: Readonly<Record<Refusal['kind'], string>> = {
  fenced: 'another process owns the partition’s state; everything is acquired again',
  unavailable: 'Redis did not answer in time; decisions that need state go to review',
}

/** What kind of error, and where, but not its message: that may show what an event holds. */
function whereThrown(error: unknown): object {
  if (!(error instanceof Error)) return { error: typeof error }
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return { error: error.name, at: frames.slice(0, 6).map((line) => line.trim()) }
}

const FAILED = 'a bug: a batch could not be decided; its records go one by one, and the one that fails is set aside'

/** By how many processes in a row died with records of a partition in hand, from offset `start` on. */
const DEATHS: Readonly<Record<number, string>> & { readonly 3: string } = {
  1: 'the last process ended without giving this partition back; what is read of it is noted before',
  2: 'two processes in a row died with records of this partition in hand; they go one by one up to `until`',
  3: 'three processes in a row died, the last with only the record at `start` in hand; it is set aside unread',
}

const reasonOf = (refusal: Refusal): object =>
  refusal.kind === 'fenced' ? { partition: refusal.partition } : { code: refusal.fault.code }

/** Writes the first of a kind at once, then at most one line per QUIET_MS with how many it stands for. */
function sparingly(now: () => number): (kind: string, write: (more: { readonly alike?: number }) => void) => void {
  const last = new Map<string, { at: number; held: number }>()
  return (kind, write) => {
    const entry = last.get(kind)
    if (entry !== undefined && now() - entry.at < QUIET_MS) {
      entry.held += 1
      return
    }
    last.set(kind, { at: now(), held: 0 })
    write(entry === undefined || entry.held === 0 ? {} : { alike: entry.held })
  }
}
