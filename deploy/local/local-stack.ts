import { java, mavenPresent } from './java.ts'
import { startKafka } from './kafka.ts'
import type { Log } from './log.ts'
import { redisBinary } from './redis-binary.ts'
import { startRedis } from './redis.ts'
import { startRegistry } from './registry.ts'
import { StackError } from './stack-error.ts'
import type { Stack } from './stack.ts'
import { step } from './step.ts'
import { openTraceServer } from './traces/server.ts'

/** Why local processes cannot be started here, a sentence each; empty when they can. */
export async function localRefusals(log: Log): Promise<readonly string[]> {
  const found = await Promise.allSettled([java(), mavenPresent(), redisBinary(log)])
  const refusals = found.flatMap((it) => (it.status === 'rejected' ? [refusalOf(it.reason)] : []))
  return [...new Set(refusals)]
}

function refusalOf(reason: unknown): string {
  if (reason instanceof StackError) return reason.message
  throw reason
}

/** Real servers as processes of this machine, on loopback and free ports, started side by side. Nothing is kept. */
export async function localStack(log: Log): Promise<Stack> {
  await using open = new AsyncDisposableStack()
  const parts = [
    step(
      'Apache Kafka',
      open,
      log,
      () => startKafka({ log }),
      (it) => it.stop(),
    ),
    step(
      'schema registry',
      open,
      log,
      () => startRegistry({ log }),
      (it) => it.stop(),
    ),
    step(
      'Redis',
      open,
      log,
      () => startRedis({ log }),
      (it) => it.stop(),
    ),
    step(
      'trace page',
      open,
      log,
      () => openTraceServer({ host: '127.0.0.1', port: 0, maxTraces: 2000 }),
      (it) => it.close(),
    ),
  ] as const
  // When one fails, the others are still waited for, so that they are ended too.
  await Promise.allSettled(parts)
  const [kafka, registry, redis, traces] = await Promise.all(parts)
  const opened = open.move()
  return {
    kind: 'local',
    brokers: kafka.brokers,
    registry: registry.url,
    redis: redis.url,
    otlp: traces.url,
    traces: traces.url,
    close: () => opened.disposeAsync(),
  }
}
