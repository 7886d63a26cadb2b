import type { Attributes, AttributeValue, ModelOutput } from '../decision/event.ts'
import type { RuleScope } from '../decision/policy.ts'

/**
 * Stands for a number that is not finite. The evaluator does not know this type, so reading it fails the rule, where
 * NaN would compare false with everything and let the event pass.
 */
class NotFinite {
  readonly kind = 'a number that is not finite'
}
const NOT_FINITE = new NotFinite()

export type Seen = AttributeValue | NotFinite

const seen = (value: AttributeValue): Seen =>
  typeof value === 'number' && !Number.isFinite(value) ? NOT_FINITE : value

/** Attributes as a CEL map. A name like `constructor` confuses the evaluator on a plain object, so that gets a Map. */
export function seenAttributes(attributes: Attributes): Attributes | ReadonlyMap<string, Seen> {
  if (Object.values(attributes).every((value) => seen(value) === value) && isPlain(attributes)) return attributes
  return new Map(Object.entries(attributes).map(([name, value]) => [name, seen(value)]))
}

const isPlain = (attributes: Attributes): boolean => {
  const maker: unknown = attributes.constructor
  return maker === Object || maker === undefined
}

/** CEL's timestamps end with the year 9999 and begin with the year 1; a rule that reads another one fails. */
function timestamp(ms: number): Date | NotFinite {
  return ms >= -62_135_596_800_000 && ms <= 253_402_300_799_999 ? new Date(ms) : NOT_FINITE
}

/** The event as conditions see it; the evaluator reads the getters it needs. */
export class EventView {
  readonly #event: ModelOutput
  #attributes: ReturnType<typeof seenAttributes> | undefined

  constructor(event: ModelOutput) {
    this.#event = event
  }

  get id(): string {
    return this.#event.id
  }
  get source(): string {
    return this.#event.source
  }
  get tenant(): string {
    return this.#event.tenant
  }
  get time(): Date | NotFinite {
    return timestamp(this.#event.time)
  }
  get expiresAt(): Date | NotFinite | null {
    return this.#event.expiresAt === null ? null : timestamp(this.#event.expiresAt)
  }
  get model(): ModelView {
    return new ModelView(this.#event.model)
  }
  get action(): string {
    return this.#event.action
  }
  get subject(): SubjectView {
    return new SubjectView(this.#event.subject)
  }
  get actor(): string | null {
    return this.#event.actor
  }
  get confidence(): Seen {
    return seen(this.#event.confidence)
  }
  get scoreKind(): string {
    return this.#event.scoreKind
  }
  get attributes(): ReturnType<typeof seenAttributes> {
    return (this.#attributes ??= seenAttributes(this.#event.attributes))
  }
}

export class ModelView {
  readonly name: string
  readonly version: string

  constructor({ name, version }: ModelOutput['model']) {
    this.name = name
    this.version = version
  }
}

export class SubjectView {
  readonly type: string
  readonly id: string
  readonly owner: string | null

  constructor({ type, id, owner }: ModelOutput['subject']) {
    this.type = type
    this.id = id
    this.owner = owner
  }
}

/** The evaluator asks a Map for its fields with `get`, which the views below answer without copying anything. */
export class CountersView extends Map<string, bigint> {
  #counters: RuleScope['counters'] = new Map()

  static of(counters: RuleScope['counters']): CountersView {
    const view = new CountersView()
    view.#counters = counters
    return view
  }

  override get(id: string): bigint | undefined {
    const count = this.#counters.get(id)
    return count === undefined ? undefined : BigInt(count)
  }
}

/** One entity's facts with declared fields; the type checker needs a class of its own for every context. */
export class FactsView extends Map<string, Seen> {
  #attributes: Attributes = {}

  /** A subclass of its own for one context. */
  static forContext(): typeof FactsView {
    return class extends FactsView {}
  }

  static over(view: FactsView, attributes: Attributes): FactsView {
    view.#attributes = attributes
    return view
  }

  override get(name: string): Seen | undefined {
    const { [name]: value } = this.#attributes
    return value === undefined || !Object.hasOwn(this.#attributes, name) ? undefined : seen(value)
  }
}

/** How one context's attributes are shown to conditions. */
export type FactsMaker = (attributes: Attributes) => unknown

export class ContextView extends Map<string, unknown> {
  #context: RuleScope['context'] = new Map()
  #makers: ReadonlyMap<string, FactsMaker> = new Map()

  static of(context: RuleScope['context'], makers: ReadonlyMap<string, FactsMaker>): ContextView {
    const view = new ContextView()
    view.#context = context
    view.#makers = makers
    return view
  }

  override get(name: string): unknown {
    const attributes = this.#context.get(name)
    return attributes === undefined ? undefined : this.#makers.get(name)?.(attributes)
  }
}

/** The variables of one event's conditions; made when first asked for. */
export class Activation {
  readonly #scope: RuleScope
  readonly #makers: ReadonlyMap<string, FactsMaker>
  #event: EventView | undefined
  #context: ContextView | undefined
  #counters: CountersView | undefined

  constructor(scope: RuleScope, makers: ReadonlyMap<string, FactsMaker>) {
    this.#scope = scope
    this.#makers = makers
  }

  get event(): EventView {
    return (this.#event ??= new EventView(this.#scope.event))
  }
  get context(): ContextView {
    return (this.#context ??= ContextView.of(this.#scope.context, this.#makers))
  }
  get counters(): CountersView {
    return (this.#counters ??= CountersView.of(this.#scope.counters))
  }
  get now(): Date | NotFinite {
    return timestamp(this.#scope.now)
  }
}
