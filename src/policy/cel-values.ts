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

const NONE = new Map<string, never>()

/**
 * The evaluator asks a Map for its fields with `get`, which the views below answer without copying anything. To make a
 * Map costs more than to evaluate most conditions, so there is one view for a policy, set to one event after the other.
 */
export class CountersView extends Map<string, bigint> {
  #counters: RuleScope['counters'] = NONE

  show(counters: RuleScope['counters']): this {
    this.#counters = counters
    return this
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

  show(attributes: Attributes): this {
    this.#attributes = attributes
    return this
  }

  override get(name: string): Seen | undefined {
    const { [name]: value } = this.#attributes
    return value === undefined || !Object.hasOwn(this.#attributes, name) ? undefined : seen(value)
  }
}

/** How one context's attributes are shown to conditions; what it gives is good until it is called again. */
export type FactsMaker = (attributes: Attributes) => unknown

export class ContextView extends Map<string, unknown> {
  #context: RuleScope['context'] = NONE
  #makers: ReadonlyMap<string, FactsMaker> = NONE

  static with(makers: ReadonlyMap<string, FactsMaker>): ContextView {
    const view = new ContextView()
    view.#makers = makers
    return view
  }

  show(context: RuleScope['context']): this {
    this.#context = context
    return this
  }

  override get(name: string): unknown {
    const attributes = this.#context.get(name)
    return attributes === undefined ? undefined : this.#makers.get(name)?.(attributes)
  }
}

/** The variables of one event's conditions, each made when first asked for. */
export class Activation {
  readonly #context: ContextView
  readonly #counters = new CountersView()
  #scope: RuleScope | null = null
  #event: EventView | null = null

  constructor(makers: ReadonlyMap<string, FactsMaker>) {
    this.#context = ContextView.with(makers)
  }

  /** Shows this scope from now on. */
  over(scope: RuleScope): this {
    if (this.#scope === scope) return this
    this.#scope = scope
    this.#event = null
    this.#context.show(scope.context)
    this.#counters.show(scope.counters)
    return this
  }

  get event(): EventView {
    return (this.#event ??= new EventView(this.#shown.event))
  }
  get context(): ContextView {
    return this.#context
  }
  get counters(): CountersView {
    return this.#counters
  }
  get now(): Date | NotFinite {
    return timestamp(this.#shown.now)
  }

  get #shown(): RuleScope {
    if (this.#scope === null) throw new Error('a condition was evaluated without a scope')
    return this.#scope
  }
}
