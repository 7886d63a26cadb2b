import type { Fault } from '../processor/fault.ts'
import type { Kind } from './record-types.ts'
import { isObject, RegistryHttp, type Answer, type HttpLimits, type RegistryAddress } from './registry-http.ts'
import { SchemaCache } from './schema-cache.ts'
import { schemaUnknown } from './schema-faults.ts'
import { reasonOf, SchemaSource, type Found } from './schema-source.ts'
import { bundled } from './schemas.ts'
import { createWriter, isFault, type Writer } from './writer.ts'

export type RegistryOptions = HttpLimits & {
  readonly address: RegistryAddress
  /** How long a "no" of the registry is taken for granted, milliseconds. */
  readonly negativeMs: number
  /** Where to keep what the registry said; null: nowhere. See SchemaCache. */
  readonly cacheFile: string | null
  /** Told in one sentence of what does not stop anything but should be looked at. */
  readonly onProblem: (problem: string) => void
  /** Milliseconds of any origin; rising. */
  readonly now: () => number
}

export const REGISTRY_DEFAULTS = {
  timeoutMs: 2_000,
  concurrentMax: 8,
  breaker: { failuresMax: 3, openMs: 5_000 },
  negativeMs: 60_000,
  cacheFile: null,
  onProblem: () => {},
  now: () => performance.now(),
} as const satisfies Partial<RegistryOptions>

/** The schemas one topic's records may be written with. */
export type Writers = {
  /** What is known without asking; undefined: ask. */
  readonly find: (id: number) => Writer | Fault | undefined
  /** Asks the registry, once however many wait for the same id. */
  readonly resolve: (id: number) => Promise<Writer | Fault>
}

export type Registry = {
  /** Reads records as `kind` whose schema is registered under one of `subjects`; `limitBytes`: of one record's body. */
  readonly writers: (kind: Kind, subjects: readonly string[], limitBytes: number) => Writers
  /** The id of our own schema under a subject, needed to write; a fault while it is not registered or not known. */
  readonly idOf: (kind: Kind, subject: string) => Promise<number | Fault>
  /** Why the registry was of no help the last time it was asked; null when it was. */
  readonly trouble: () => string | null
  /** Resolves when the cache file is written. */
  readonly close: () => Promise<void>
}

/** More ids than this are not remembered as bad; the oldest go first, so that no sender can fill the memory. */
const NEGATIVE_MAX = 10_000

/** Opens the cache file; asks the registry for nothing yet. Never rejects. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const http = new RegistryHttp(options.address, options, options.now)
  const cache = await SchemaCache.open(options.cacheFile, http.url, options.onProblem)
  const source = new SchemaSource(http)
  return {
    writers: (kind, subjects, limitBytes) => new CachedWriters(kind, subjects, limitBytes, source, cache, options),
    idOf: (kind, subject) => idOf(kind, subject, http, cache),
    trouble: () => http.trouble,
    close: () => cache.saved(),
  }
}

async function idOf(kind: Kind, subject: string, http: RegistryHttp, cache: SchemaCache): Promise<number | Fault> {
  const { text, fingerprint } = bundled(kind)
  const answer = await http.send('POST', `/subjects/${encodeURIComponent(subject)}`, { schema: text })
  if (answer.kind === 'ok' && isObject(answer.body) && typeof answer.body['id'] === 'number') {
    cache.rememberId(subject, fingerprint, answer.body['id'])
    return answer.body['id']
  }
  const remembered = answer.kind === 'failed' ? cache.id(subject, fingerprint) : undefined
  return remembered ?? unregistered(kind, subject, answer)
}

function unregistered(kind: Kind, subject: string, answer: Answer): Fault {
  const detail =
    answer.kind === 'absent'
      ? `the schema \`sluice.${kind}\` is not registered under \`${subject}\`: run the setup, which registers it`
      : `the schema id of \`${subject}\` is not known and the registry did not answer: ${reasonOf(answer)}`
  return { code: 'schema.unresolved', detail, retry: true }
}

class CachedWriters implements Writers {
  private readonly kind: Kind
  private readonly subjects: readonly string[]
  private readonly limitBytes: number
  private readonly source: SchemaSource
  private readonly cache: SchemaCache
  private readonly options: RegistryOptions
  private readonly known = new Map<number, Writer>()
  private readonly refused = new Map<number, { readonly fault: Fault; readonly until: number }>()
  private readonly asking = new Map<number, Promise<Writer | Fault>>()

  constructor(
    kind: Kind,
    subjects: readonly string[],
    limitBytes: number,
    source: SchemaSource,
    cache: SchemaCache,
    options: RegistryOptions,
  ) {
    this.kind = kind
    this.subjects = subjects
    this.limitBytes = limitBytes
    this.source = source
    this.cache = cache
    this.options = options
  }

  find(id: number): Writer | Fault | undefined {
    const writer = this.known.get(id)
    if (writer !== undefined) return writer
    if (!(id > 0)) return schemaUnknown(id)
    const entry = this.refused.get(id)
    if (entry === undefined) return undefined
    if (this.options.now() < entry.until) return entry.fault
    this.refused.delete(id)
    return undefined
  }

  resolve(id: number): Promise<Writer | Fault> {
    const pending = this.asking.get(id)
    if (pending !== undefined) return pending
    const asked = this.ask(id).finally(() => this.asking.delete(id))
    this.asking.set(id, asked)
    return asked
  }

  private async ask(id: number): Promise<Writer | Fault> {
    const text = await this.source.fetch(id, this.subjects)
    const writer = isFault(text) ? this.fromCache(id, text) : this.fromRegistry(id, text)
    if (!isFault(writer)) this.known.set(id, writer)
    else if (!writer.retry) this.refuse(id, writer)
    return writer
  }

  private fromRegistry(id: number, { text, subject }: Found): Writer | Fault {
    this.cache.rememberWriter(id, subject, text)
    return createWriter(this.kind, id, text, this.limitBytes)
  }

  /** What the file remembers is used only where the registry gives no answer. */
  private fromCache(id: number, fault: Fault): Writer | Fault {
    const remembered = fault.retry ? this.cache.writer(id, this.subjects) : undefined
    return remembered === undefined ? fault : createWriter(this.kind, id, remembered, this.limitBytes)
  }

  private refuse(id: number, fault: Fault): void {
    const oldest = this.refused.keys().next()
    if (this.refused.size >= NEGATIVE_MAX && oldest.done !== true) this.refused.delete(oldest.value)
    this.refused.set(id, { fault, until: this.options.now() + this.options.negativeMs })
  }
}
