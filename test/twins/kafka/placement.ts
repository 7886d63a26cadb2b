import type { CoordinatorKind } from '../../../src/kafka/wire/messages/cluster.ts'

const PORT = 9092

export const hostOf = (node: number): string => `broker-${node}`

/** What the twin's Metadata names a broker by. */
export const addressOf = (node: number): string => `${hostOf(node)}:${PORT}`

export function nodeOf(address: string): number | null {
  const found = /^broker-(\d+):9092$/.exec(address)
  return found === null ? null : Number(found[1])
}

export const placeOf = (node: number) => ({ node, host: hostOf(node), port: PORT })

/** A role at the cluster: leading a partition, or coordinating a group or transactional id. */
export type Role = string

export const partitionRole = (topic: string, partition: number): Role => `partition ${topic}/${partition}`
export const coordinatorRole = (kind: CoordinatorKind, key: string): Role => `${kind} ${key}`

/** Which broker has which role, and which brokers live. Nodes count from 1. */
export class Placement {
  readonly nodes: readonly number[]
  readonly #alive: Set<number>
  readonly #roles = new Map<Role, number>()

  constructor(brokers: number) {
    this.nodes = Array.from({ length: brokers }, (_, index) => index + 1)
    this.#alive = new Set(this.nodes)
  }

  get alive(): readonly number[] {
    return this.nodes.filter((node) => this.#alive.has(node))
  }

  isAlive(node: number): boolean {
    return this.#alive.has(node)
  }

  /** One that has no broker yet goes to one that lives, spread by its name. */
  holder(role: Role): number {
    const known = this.#roles.get(role)
    if (known !== undefined) return known
    const candidates = this.#alive.size === 0 ? this.nodes : this.alive
    const node = candidates[spread(role) % candidates.length] ?? 1
    this.#roles.set(role, node)
    return node
  }

  move(role: Role, node: number): void {
    this.#roles.set(role, node)
  }

  held(node: number): readonly Role[] {
    return [...this.#roles].filter(([, holder]) => holder === node).map(([role]) => role)
  }

  kill(node: number): void {
    this.#alive.delete(node)
  }

  restart(node: number): void {
    this.#alive.add(node)
  }
}

/** As String.hashCode of Java, made positive. */
function spread(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash & 0x7fff_ffff
}
