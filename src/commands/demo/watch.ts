import type { Records } from '../../avro/records.ts'
import type { Verdict } from '../../decision/verdict.ts'
import type { Config } from '../../config.ts'
import { kafkaConnection } from '../../connections.ts'
import { followTopic } from '../../kafka/follow.ts'

export type DemoWatch = {
  readonly onVerdict: (verdict: Verdict) => void
  readonly onDeadLetter: (position: string, code: string, detail: string) => void
  readonly signal: AbortSignal
}

/** Follows the verdict topics and the dead letters from now on. Resolves when nothing that comes will be missed. */
export async function watchAnswers(config: Config, records: Records, watch: DemoWatch): Promise<void> {
  const connection = kafkaConnection(config)
  const verdicts = [config.TOPIC_EXECUTE, config.TOPIC_REVIEW, config.TOPIC_REJECT].map((topic) =>
    followTopic(connection, topic, {
      from: 'end',
      signal: watch.signal,
      onRecord: async ({ value }) => {
        const read = await records.decode('Verdict', topic, value)
        if (read.kind === 'fault') throw new Error(`a verdict in ${topic} cannot be read: ${read.fault.detail}`)
        watch.onVerdict(read.value)
      },
    }),
  )
  const letters = followTopic(connection, config.TOPIC_DEAD_LETTERS, {
    from: 'end',
    signal: watch.signal,
    onRecord: ({ headers }) => {
      const text = (name: string): string => Buffer.from(headers.get(name) ?? []).toString('utf8')
      const position = ['topic', 'partition', 'offset'].map((part) => text(`__connect.errors.${part}`)).join(':')
      watch.onDeadLetter(position, text('sluice.error.code'), text('__connect.errors.exception.message'))
    },
  })
  await Promise.all([...verdicts, letters].map((it) => it.caughtUp))
}
