import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../../config.ts'
import { readVerdicts, reportOutcomes, runExecutor } from '../../../sdk/index.ts'
import { sdkAccess } from '../../access.ts'
import type { DriftTally } from './drift-tally.ts'

/** How long closing a ticket takes, milliseconds. */
const ACTION_MS = 2

/**
 * Who does what is decided, as a user of the SDK would write them: an executor that closes tickets, of which those picked for
 * audit are looked at, and reviewers who look at everything that comes to them. Resolves after the signal; rejects where
 * reading cannot go on.
 */
export async function runDriftPeople(
  config: Config,
  run: string,
  tally: DriftTally,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([execute(config, run, tally, signal), review(config, run, tally, signal)])
}

async function execute(config: Config, run: string, tally: DriftTally, signal: AbortSignal): Promise<void> {
  await runExecutor(
    {
      ...sdkAccess(config),
      group: `${run}-executor`,
      topics: { execute: config.TOPIC_EXECUTE },
      from: 'end',
      outcomes: { topic: config.TOPIC_OUTCOMES, source: '/demo/executor' },
      claim: (_, { event }) => tally.truthOf(event.id) !== undefined,
      signal,
    },
    async ({ event, audit }, { report }) => {
      await delay(ACTION_MS)
      if (audit.selected) await report({ kind: 'label', right: tally.truthOf(event.id) ?? false })
      tally.handled(event.id)
    },
  )
}

/** From the beginning, since events may be decided before this reader has joined its group. */
async function review(config: Config, run: string, tally: DriftTally, signal: AbortSignal): Promise<void> {
  const access = sdkAccess(config)
  const reporter = reportOutcomes({ ...access, topic: config.TOPIC_OUTCOMES, source: '/demo/reviewers' })
  const topics = { review: config.TOPIC_REVIEW }
  try {
    await readVerdicts(
      { ...access, group: `${run}-reviewers`, routes: ['review'], topics, signal },
      async (verdict) => {
        const right = tally.truthOf(verdict.event.id)
        if (right === undefined) return
        await reporter.report(verdict, { kind: 'label', right })
        tally.handled(verdict.event.id)
      },
    )
  } finally {
    await reporter.close()
  }
}
