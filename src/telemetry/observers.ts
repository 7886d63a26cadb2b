import type { Observer } from '../processor/ports.ts'

/** Several observers as one. One that throws is left out of this call and told of; a decision never depends on it. */
export function observers(parts: readonly Partial<Observer>[], onError: (error: unknown) => void): Observer {
  const each = (tell: (part: Partial<Observer>) => void): void => {
    for (const part of parts) {
      try {
        tell(part)
      } catch (error) {
        onError(error)
      }
    }
  }
  return {
    committed: (decided, times) => each((part) => part.committed?.(decided, times)),
    discarded: (code, records) => each((part) => part.discarded?.(code, records)),
    refused: (refusal) => each((part) => part.refused?.(refusal)),
    isolated: (why) => each((part) => part.isolated?.(why)),
  }
}
