import { BUDGETS, type Budget } from '../decision/certificate.ts'
import type { Costs } from '../decision/costs.ts'
import type { ActionRule, CertificateDemand, ConfidenceRule, Dimension, Undo } from '../decision/policy.ts'
import { dimension, duration } from './dimension.ts'
import { costs } from './read-costs.ts'
import { capacity, type Capacity } from './read-desks.ts'
import { choice, entriesOf, Fields, isWhole, probability, share, truth, type Reader, type Value } from './fields.ts'
import type { Source } from './source.ts'

const ACTION = /^[A-Za-z][A-Za-z0-9._-]*$/u
const UNDO: readonly Undo[] = ['reversible', 'compensable', 'irreversible']

/** The names of all actions, also of those with a mistake in them, so that filters can be checked, and their rules. */
export type Actions = {
  readonly names: ReadonlySet<string>
  readonly rules: ReadonlyMap<string, ActionRule>
  /** Of those with reviewers of their own. */
  readonly capacities: ReadonlyMap<string, Capacity>
}

const someEntries: Reader<ReadonlyMap<string, Value>> = (source, value) => {
  const entries = entriesOf(source, value)
  return entries?.size === 0 ? source.report(value.offset, `${value.name} is empty`, 'Name at least one.') : entries
}

export function readActions(source: Source, root: Fields, auditShare: number): Actions {
  const hint = 'Name every action that may be decided, with how it can be undone.'
  const written = root.required('actions', someEntries, hint) ?? new Map<string, Value>()
  const rules = new Map<string, ActionRule>()
  const capacities = new Map<string, Capacity>()
  for (const [name, value] of written) {
    if (!(ACTION.test(name) && name.length <= 128))
      source.report(
        value.keyOffset,
        `\`${name}\` cannot be the name of an action`,
        'Use letters, digits, `.`, `-`, `_`.',
      )
    const fields = Fields.of(source, value, ACTION_FIELDS)
    const rule = readAction(source, name, fields, auditShare)
    const own = fields?.optional<Capacity | null>('reviewCapacity', capacity, null) ?? null
    if (own !== null) capacities.set(name, own)
    if (rule !== undefined) rules.set(name, rule)
  }
  return { names: new Set(written.keys()), rules, capacities }
}

const ACTION_FIELDS = ['undo', 'confidence', 'costs', 'reviewCapacity', 'executeWithin', 'stateless', 'audit']

function readAction(source: Source, action: string, fields: Fields | undefined, audit: number): ActionRule | undefined {
  if (fields === undefined) return undefined
  const undo = fields.required('undo', choice(UNDO), 'Write `reversible`, `compensable` or `irreversible`.')
  const confidence = fields.optional('confidence', confidenceRule, NO_CONFIDENCE)
  const weighed = fields.optional<Costs | null>('costs', costs, null)
  const executeWithinMs = fields.optional('executeWithin', duration('1s', '24h'), 300_000)
  const stateless = fields.optional('stateless', truth, false)
  const auditShare = fields.optional('audit', share, audit)
  if (fields.get('costs') !== undefined) checkCosts(source, fields, confidence)
  if (undo === 'irreversible') checkIrreversible(source, fields, confidence, stateless)
  if (undo === undefined || confidence === undefined || executeWithinMs === undefined) return undefined
  if (stateless === undefined || auditShare === undefined || weighed === undefined) return undefined
  return { action, undo, confidence, costs: weighed, executeWithinMs, stateless, auditShare }
}

/** What is weighed is how often a score is right, which is what calibrated scores say and raw ones do not. */
function checkCosts(source: Source, fields: Fields, confidence: ConfidenceRule | undefined): void {
  if (confidence === undefined || confidence.calibrated === 'required') return
  source.report(
    fields.get('costs')?.keyOffset ?? fields.offset,
    '`costs` are weighed by how often a score is right, which only a calibrated score says',
    'Add `calibrated: required` to `confidence`.',
  )
}

function checkIrreversible(
  source: Source,
  fields: Fields,
  confidence: ConfidenceRule | undefined,
  stateless: boolean | undefined,
): void {
  const at = (name: string): number => fields.get(name)?.offset ?? fields.offset
  if (confidence !== undefined && confidence.execute !== null) {
    const hint = 'Demand proof with `certified: { risk: 0.01, assurance: 0.95 }`, or leave it to a person.'
    source.report(at('confidence'), 'an irreversible action cannot be executed on a threshold alone', hint)
  }
  if (stateless === true) {
    const hint = 'Without state an event may be executed twice: remove `stateless`.'
    source.report(at('stateless'), 'an irreversible action cannot be `stateless`', hint)
  }
}

const NO_CONFIDENCE: ConfidenceRule = { execute: null, certified: null, reject: null, calibrated: 'optional' }

const CALIBRATED: readonly ConfidenceRule['calibrated'][] = ['required', 'optional']

const confidenceRule: Reader<ConfidenceRule> = (source, value) => {
  const fields = Fields.of(source, value, ['execute', 'certified', 'reject', 'calibrated'])
  if (fields === undefined) return undefined
  const execute = fields.optional<number | null>('execute', share, null)
  const certified = fields.optional<CertificateDemand | null>('certified', certificateDemand, null)
  const reject = fields.optional<number | null>('reject', share, null)
  const calibrated = fields.optional('calibrated', choice(CALIBRATED), 'optional')
  if (execute === undefined || certified === undefined || reject === undefined || calibrated === undefined)
    return undefined
  checkBands(source, fields, execute, certified, reject)
  return { execute, certified, reject, calibrated }
}

function checkBands(
  source: Source,
  fields: Fields,
  execute: number | null,
  certified: CertificateDemand | null,
  reject: number | null,
): void {
  if (execute !== null && certified !== null)
    source.report(
      fields.get('certified')?.offset ?? fields.offset,
      '`execute` and `certified` exclude each other',
      'Keep `execute` for a threshold of your own, or `certified` for one that comes with proof.',
    )
  if (execute !== null && reject !== null && !(reject <= execute))
    source.report(
      fields.get('reject')?.offset ?? fields.offset,
      `\`reject\` ${reject} is above \`execute\` ${execute}`,
      'Events between the two would be both executed and rejected: set `reject` at or below `execute`.',
    )
}

const certificateDemand: Reader<CertificateDemand> = (source, value) => {
  const fields = Fields.of(source, value, ['risk', 'assurance', 'budget', 'segment'])
  if (fields === undefined) return undefined
  const parts = {
    risk: fields.required('risk', probability, 'The share of wrong executions allowed, such as 0.01.'),
    assurance: fields.required('assurance', probability, 'How surely that must hold, such as 0.95.'),
    budget: fields.optional<Budget>('budget', choice(BUDGETS), 'per-execution'),
    segment: fields.optional<Dimension | null>('segment', dimension, null),
  }
  return isWhole(parts) ? parts : undefined
}
