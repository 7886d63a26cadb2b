import type { Processor } from '../../src/processor/run.ts'
import type { TwinRequest } from '../twins/kafka/kafka-twin.ts'
import { RedisLibrary } from '../twins/redis/library.ts'
import type { Scene } from './scene.ts'
import type { Owner } from './virtual-time.ts'

/** A planted bug: what it changes of the product's parts, of what they send, and of the function library. */
export type Mutant = {
  readonly name: string
  readonly alter: (parts: Processor, scene: Scene) => Processor
  readonly meddler:
    | ((
        owner: Owner,
        request: TwinRequest & { readonly apiName: string },
        scene: Scene,
      ) => { readonly answer: Buffer } | { readonly body: Buffer } | null)
    | null
  /** Told of what brokers answer. */
  readonly listener: ((scene: Scene, owner: Owner, apiName: string, body: Buffer, answer: Buffer) => void) | null
  readonly resends: boolean
  readonly library: () => RedisLibrary
}

export const NO_MUTANT: Mutant = {
  name: 'none',
  alter: (parts) => parts,
  meddler: null,
  listener: null,
  resends: false,
  library: () => new RedisLibrary(),
}
