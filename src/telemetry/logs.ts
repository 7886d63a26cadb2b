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
  }
}

type Refusal = Parameters<Observer['refused']>[0]

const REFUSALS: Readonly<Record<Refusal['kind'], string>> = {
  fenced: 'another process owns the partition’s state; everything is acquired again',
  unavailable: 'Redis did not answer in time; decisions that need state go to review',
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
