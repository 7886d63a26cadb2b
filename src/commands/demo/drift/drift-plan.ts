import type { StackKind } from '../../../../deploy/local/stack.ts'

export type DriftOptions = {
  readonly stack: StackKind | undefined
  /** How long the stream is; a standard if not given. */
  readonly events: number | undefined
  readonly perSecond: number | undefined
  readonly seed: number
}

/** What happens when in a run of the drift demo; events are counted from 0. */
export type DriftPlan = {
  readonly events: number
  readonly perSecond: number
  readonly seed: number
  /** The labels of the events before this one are what is certified with. */
  readonly historyEnds: number
  /** From this event on the model errs more. */
  readonly driftAt: number
}

const EVENTS = 25_000
/** Fewer give too few labels for a certificate and too few audits to notice the drift in time. */
const EVENTS_MIN = 10_000
const SECONDS = 100
/** In a shorter stream the seconds until labels count would be too large a part of the certificate's life. */
const SECONDS_MIN = 70

/** The plan, or in a sentence why there is none. */
export function driftPlan({ events = EVENTS, perSecond = events / SECONDS, seed }: DriftOptions): DriftPlan | string {
  if (events < EVENTS_MIN) return `--events ${events}: a certificate, its drift and its withdrawal need ${EVENTS_MIN}`
  if (events / perSecond < SECONDS_MIN) {
    const most = Math.floor(events / SECONDS_MIN)
    return (
      `--rate ${perSecond}: ${events} events would be over in ${Math.round(events / perSecond)} s, and a label counts ` +
      `only after ${MATURITY_MS / 1000} s: at most --rate ${most}, or more --events`
    )
  }
  return { events, perSecond, seed, historyEnds: Math.floor(events * 0.1), driftAt: Math.floor(events * 0.8) }
}

/** At which age a decision counts, with the label it has by then, milliseconds: long enough for a slow machine. */
export const MATURITY_MS = 6000

export const PROMISE = { risk: 0.05, assurance: 0.95 } as const

/** What a program without certificates does: execute where the model states more than this. */
export const RAW_THRESHOLD = 0.8
