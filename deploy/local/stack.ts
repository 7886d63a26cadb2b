import { dockerStack, dockerRefusal } from './docker-stack.ts'
import { givenStack, isGiven } from './given-stack.ts'
import { localRefusals, localStack } from './local-stack.ts'
import type { Log } from './log.ts'
import { StackError } from './stack-error.ts'

export const STACK_KINDS = ['given', 'docker', 'local'] as const
export type StackKind = (typeof STACK_KINDS)[number]

/** What a processor needs around it, and where it is. */
export type Stack = {
  readonly kind: StackKind
  /** host:port of each broker. */
  readonly brokers: readonly string[]
  /** The base of the Confluent API. */
  readonly registry: string
  readonly redis: string
  /** Where OTLP over HTTP is taken. */
  readonly otlp: string
  /** The page that shows traces; null where only the owner of the collector knows. */
  readonly traces: string | null
  /** Ends what was started for it. */
  readonly close: () => Promise<void>
}

export type StackOptions = { readonly kind?: StackKind; readonly log: Log }

/**
 * Brokers, registry, Redis and a place for traces: those whose addresses the environment gives, else containers, else
 * local processes; `kind` allows one of them only. Rejects with StackError, whose message says what to install.
 */
export async function openStack({ kind, log }: StackOptions): Promise<Stack> {
  if (kind === 'given' || (kind === undefined && isGiven())) {
    log('stack: the addresses given in the environment')
    return givenStack()
  }
  if (kind === 'local') {
    log('stack: local processes, as asked for')
    return localStack(log)
  }
  const noDocker = await dockerRefusal()
  if (kind === 'docker') {
    if (noDocker !== null) throw new StackError(`the stack cannot run in containers: ${noDocker}`)
    log('stack: containers, as asked for')
    return dockerStack(log)
  }
  return openFound(noDocker, log)
}

async function openFound(noDocker: string | null, log: Log): Promise<Stack> {
  if (noDocker !== null) return openLocal(noDocker, log)
  log('stack: containers, since Docker answers and no addresses are given')
  try {
    return await dockerStack(log)
  } catch (error) {
    if (error instanceof StackError) return openLocal(error.message, log)
    throw error
  }
}

async function openLocal(noDocker: string, log: Log): Promise<Stack> {
  const refusals = await localRefusals(log)
  if (refusals.length > 0) throw nothingFound(noDocker, refusals)
  log(`stack: local processes, since no addresses are given and ${noDocker}`)
  return localStack(log)
}

const nothingFound = (noDocker: string, noLocal: readonly string[]): StackError =>
  new StackError(
    [
      'nothing was found to run Kafka, a schema registry and Redis with. One of these is enough:',
      `  - containers: install Docker with Compose and start it (now: ${noDocker})`,
      ...noLocal.map((it, at) => `  ${at === 0 ? '- local processes:' : '                  '} ${it}`),
      '  - your own servers: set KAFKA_BROKERS, SCHEMA_REGISTRY_URL and REDIS_URL',
    ].join('\n'),
  )
