import { bundled } from '../../src/avro/schemas.ts'
import type { World } from './world.ts'
import { currentOwner } from './virtual-time.ts'

/** What the registry does with requests. */
export type RegistryMood = 'serving' | 'hanging' | 'failing'

export const EVENT_SCHEMA_ID = 1
const VERDICT_SCHEMA_ID = 2

/** The part of a schema registry that is asked for, in place of `fetch`. */
export class Registry {
  mood: RegistryMood = 'serving'
  readonly #world: World

  constructor(world: World) {
    this.#world = world
    globalThis.fetch = (url, init) => this.#fetch(url instanceof Request ? url.url : url.toString(), init ?? {})
  }

  #fetch(url: string, { method, body, signal }: RequestInit): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    const path = new URL(url).pathname
    this.#world.happen(1 + this.#world.chance.network() * 5, currentOwner(), `registry ${method ?? 'GET'}`, () => {
      if (this.mood === 'hanging') return
      if (this.mood === 'failing') reject(new Error('fetch failed'))
      else resolve(answer(...this.#find(path, typeof body === 'string' ? body : '')))
    })
    return promise
  }

  #find(path: string, body: string): readonly [number, unknown] {
    const subject = decodeURIComponent(/^\/subjects\/([^/?]+)/.exec(path)?.[1] ?? '')
    if (path === `/schemas/ids/${EVENT_SCHEMA_ID}`) return [200, { schema: bundled('ModelOutput').text }]
    if (path === `/schemas/ids/${VERDICT_SCHEMA_ID}`) return [200, { schema: bundled('Verdict').text }]
    if (path.startsWith('/schemas/')) return [404, { error_code: 40403, message: 'Schema not found' }]
    const { schema } = JSON.parse(body) as { readonly schema: string }
    if (schema === bundled('Verdict').text && subject.startsWith('decisions.')) return [200, { id: VERDICT_SCHEMA_ID }]
    if (schema === bundled('ModelOutput').text && subject === 'model.outputs-value')
      return [200, { id: EVENT_SCHEMA_ID }]
    return [404, { error_code: 40403, message: 'Schema not found' }]
  }
}

/** Only what src/avro/registry-http.ts looks at. */
const answer = (status: number, body: unknown): Response =>
  ({ status, body: [Buffer.from(JSON.stringify(body))] }) as unknown as Response
