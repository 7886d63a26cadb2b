import { Environment } from '@marcbachmann/cel-js'
import {
  ContextView,
  CountersView,
  EventView,
  FactsView,
  ModelView,
  seenAttributes,
  SubjectView,
  type FactsMaker,
} from './cel-values.ts'

/** What an author may declare a fact's field to be. */
export const FIELD_TYPES = ['bool', 'double', 'string'] as const
export type FieldType = (typeof FIELD_TYPES)[number]

/** A context's declared fields; null: none declared, so every field is read untyped. */
export type ContextFields = ReadonlyMap<string, ReadonlyMap<string, FieldType> | null>

const TIMESTAMP = 'google.protobuf.Timestamp'

/** `dyn<T>` is a T or null. */
const EVENT_FIELDS = {
  id: 'string',
  source: 'string',
  tenant: 'string',
  time: TIMESTAMP,
  expiresAt: `dyn<${TIMESTAMP}>`,
  model: 'Model',
  action: 'string',
  subject: 'Subject',
  actor: 'dyn<string>',
  confidence: 'dyn<double>',
  scoreKind: 'string',
  attributes: 'map<string, dyn>',
} as const

const LIMITS = { maxAstNodes: 300, maxDepth: 24, maxListElements: 200, maxMapEntries: 1, maxCallArguments: 4 }

/** The types conditions are checked against, and the views they are evaluated on. */
export type CelSetting = {
  readonly environment: Environment
  readonly makers: ReadonlyMap<string, FactsMaker>
  /** The fields each type has, to suggest what was meant. */
  readonly fields: ReadonlyMap<string, readonly string[]>
}

/** One policy's setting: its contexts with their fields, and its limits' ids as counters. */
export function celSetting(contexts: ContextFields, limitIds: readonly string[]): CelSetting {
  const environment = new Environment({ limits: LIMITS })
  registerEvent(environment)
  const makers = registerContexts(environment, contexts)
  const counters = Object.fromEntries(limitIds.map((id) => [id, 'int']))
  environment.registerType('Counters', { ctor: CountersView, fields: counters })
  environment
    .registerVariable('event', 'Event')
    .registerVariable('context', 'Context')
    .registerVariable('counters', 'Counters')
    .registerVariable('now', TIMESTAMP)
  return { environment, makers, fields: fieldNames(contexts, limitIds) }
}

/** What costs are computed from: the event alone. */
export function costSetting(): CelSetting {
  const environment = new Environment({ limits: LIMITS })
  registerEvent(environment)
  environment.registerVariable('event', 'Event')
  return { environment, makers: new Map(), fields: fieldNames(new Map(), []) }
}

const MODEL_FIELDS = { name: 'string', version: 'string' } as const
const SUBJECT_FIELDS = { type: 'string', id: 'string', owner: 'dyn<string>' } as const

function fieldNames(contexts: ContextFields, limitIds: readonly string[]): CelSetting['fields'] {
  return new Map([
    ['Event', Object.keys(EVENT_FIELDS)],
    ['Model', Object.keys(MODEL_FIELDS)],
    ['Subject', Object.keys(SUBJECT_FIELDS)],
    ['Context', [...contexts.keys()]],
    ['Counters', limitIds],
    ...[...contexts].map(([name, fields]) => [`context.${name}`, [...(fields?.keys() ?? [])]] as const),
  ])
}

function registerEvent(environment: Environment): void {
  environment
    .registerType('Model', { ctor: ModelView, fields: MODEL_FIELDS })
    .registerType('Subject', { ctor: SubjectView, fields: SUBJECT_FIELDS })
    .registerType('Event', { ctor: EventView, fields: EVENT_FIELDS })
  for (const type of ['string', 'double', TIMESTAMP])
    environment.registerOperator(`dyn<${type}> == null`, (left: unknown, right: unknown) => left === right)
}

function registerContexts(environment: Environment, contexts: ContextFields): ReadonlyMap<string, FactsMaker> {
  const makers = new Map<string, FactsMaker>()
  const types: [name: string, type: string][] = []
  for (const [name, fields] of contexts) {
    const facts = fields === null ? untyped : typed(environment, name, fields)
    makers.set(name, facts.make)
    types.push([name, facts.type])
  }
  environment.registerType('Context', { ctor: ContextView, fields: Object.fromEntries(types) })
  return makers
}

type Facts = { readonly type: string; readonly make: FactsMaker }

const untyped: Facts = { type: 'map<string, dyn>', make: seenAttributes }

function typed(environment: Environment, name: string, fields: ReadonlyMap<string, FieldType>): Facts {
  const View = FactsView.forContext()
  environment.registerType(`context.${name}`, { ctor: View, fields: Object.fromEntries(fields) })
  const view = new View()
  return { type: `context.${name}`, make: (attributes) => view.show(attributes) }
}
