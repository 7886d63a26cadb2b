import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type { Kind } from './record-types.ts'
import { credentialsOf, isObject, publicUrl, RegistryHttp, type RegistryAddress } from './registry-http.ts'
import { REGISTRY_DEFAULTS } from './registry.ts'
import { reasonOf } from './schema-source.ts'
import { bundled, subjectOf } from './schemas.ts'

/**
 * What a new version of any of our schemas is held to: producers, processors, executors and old records of every
 * version can be together on a topic, and each must be able to read the others'.
 */
const COMPATIBILITY_LEVEL = COMPATIBILITY.FULL_TRANSITIVE

/** Which kind of record a topic holds. */
export type TopicSchema = { readonly kind: Kind; readonly topic: string }
export type Registered = TopicSchema & { readonly subject: string; readonly id: number }

/** Some subjects could not be registered; the message has a line for each, saying what to do. */
export class RegistrationFailed extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'RegistrationFailed'
  }
}

/**
 * Sets the compatibility level of each topic's subject and registers our schema under it. Harmless to repeat. Rejects
 * with RegistrationFailed after having tried all, or at once where the registry itself fails. `timeoutMs`: of each
 * request.
 */
export async function registerAll(
  address: RegistryAddress,
  topics: readonly TopicSchema[],
  timeoutMs: number = REGISTRY_DEFAULTS.timeoutMs,
): Promise<readonly Registered[]> {
  const registration = new Registration(address, timeoutMs)
  const done: Registered[] = []
  const problems: string[] = []
  for (const topic of topics) {
    const result = await registration.register(topic)
    if (typeof result === 'string') problems.push(result)
    else done.push(result)
  }
  if (problems.length > 0) throw new RegistrationFailed(problems)
  return done
}

type Client = ConstructorParameters<typeof SchemaRegistry>[0]

class Registration {
  private readonly http: RegistryHttp
  private readonly client: SchemaRegistry

  constructor(address: RegistryAddress, timeoutMs: number) {
    this.http = new RegistryHttp(address, { ...REGISTRY_DEFAULTS, timeoutMs }, REGISTRY_DEFAULTS.now)
    const auth = credentialsOf(address)
    const client = { host: publicUrl(address), retry: { retries: 0 }, middlewares: [deadline(timeoutMs)] }
    this.client = new SchemaRegistry(auth === null ? client : { ...client, auth })
  }

  /** What was registered, or a sentence about why not. */
  async register({ kind, topic }: TopicSchema): Promise<Registered | string> {
    const subject = subjectOf(topic)
    const path = `/config/${encodeURIComponent(subject)}`
    // Before the schema, so that there is no moment in which an incompatible one gets in.
    const level = await this.http.send('PUT', path, { compatibility: COMPATIBILITY_LEVEL })
    if (level.kind === 'failed') {
      const why = `schemas cannot be registered at ${this.http.url} (SCHEMA_REGISTRY_URL): ${level.reason}`
      throw new RegistrationFailed([why])
    }
    if (level.kind !== 'ok') {
      return `\`${subject}\`: its compatibility level cannot be set at ${this.http.url}: ${reasonOf(level)}`
    }
    try {
      const schema = { type: SchemaType.AVRO, schema: bundled(kind).text } as const
      const { id } = await this.client.register(schema, { subject, compatibility: COMPATIBILITY_LEVEL })
      return { kind, topic, subject, id }
    } catch (error) {
      return await this.explain(kind, subject, error)
    }
  }

  private async explain(kind: Kind, subject: string, error: unknown): Promise<string> {
    if (!(error instanceof Error && 'status' in error && error.status === 409)) {
      return `\`${subject}\`: \`sluice.${kind}\` cannot be registered at ${this.http.url}: ${String(error)}`
    }
    const found = await this.incompatibilities(kind, subject)
    return (
      `\`${subject}\`: the registry has a version that \`sluice.${kind}\` is not compatible with ` +
      `(${COMPATIBILITY_LEVEL}): ${found ?? error.message}. Use another topic, or delete the subject's versions ` +
      'if no record was written with them.'
    )
  }

  /** What the registry finds incompatible; null where it does not say. */
  private async incompatibilities(kind: Kind, subject: string): Promise<string | null> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`
    const answer = await this.http.send('POST', path, { schema: bundled(kind).text })
    const messages = answer.kind === 'ok' && isObject(answer.body) ? answer.body['messages'] : null
    return Array.isArray(messages) && messages.length > 0 ? messages.map(String).join('; ') : null
  }
}

/** The client has no time-out of its own, but hands each request to this first. */
const deadline =
  (timeoutMs: number): NonNullable<Client['middlewares']>[number] =>
  () => ({
    prepareRequest: async (next) => (await next()).enhance({ signal: AbortSignal.timeout(timeoutMs) }),
  })
