import type { Certificate } from '../decision/certificate.ts'
import type { ModelOutput } from '../decision/event.ts'
import type { ControlFact } from '../decision/facts.ts'
import { covers, toFact } from '../decision/control.ts'
import type { ControlOrder } from '../decision/control.ts'
import type { ControlSource } from './ports.ts'

/** The operators' orders as last read from the control topic, by id. */
export type StandingOrders = ControlSource & {
  /** Replaces the order with this id; null lifts it. */
  readonly apply: (id: string, order: ControlOrder | null) => void
  readonly count: () => number
}

const NONE: readonly ControlFact[] = []

export function createStandingOrders(): StandingOrders {
  const orders = new Map<string, ControlOrder>()
  return {
    apply: (id, order) => void (order === null ? orders.delete(id) : orders.set(id, order)),
    count: () => orders.size,
    matching: (event, reliable) => (orders.size === 0 ? NONE : matchingOf(orders, event, reliable)),
  }
}

/** In the order of their ids, so that the same orders give the same facts in every process. */
function matchingOf(
  orders: ReadonlyMap<string, ControlOrder>,
  event: ModelOutput,
  reliable: readonly Certificate[],
): readonly ControlFact[] {
  const found = [...orders.values()].filter((order) => concerns(order, reliable) && covers(order, event))
  return found.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(toFact)
}

const concerns = ({ certificate }: ControlOrder, reliable: readonly Certificate[]): boolean =>
  certificate === null || reliable.some(({ id }) => id === certificate)
