import { isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml'
import { sentence, suggestion } from './nearest.ts'
import { startOf, type Source } from './source.ts'

/** A value in a file, with the name people know it by. `node` is null where nothing is written. */
export type Value = {
  readonly name: string
  /** Where its key stands; in a list, the value itself. */
  readonly keyOffset: number
  readonly offset: number
  readonly node: Node | null
}

/** Reads a value, or reports what is wrong with it and returns undefined. */
export type Reader<T> = (source: Source, value: Value) => T | undefined

/** The entries of a mapping in order; a key given twice is reported, and its first value counts. */
export function entriesOf(source: Source, value: Value): ReadonlyMap<string, Value> | undefined {
  if (!isMap(value.node)) return source.report(value.offset, `${value.name} must be a mapping`, 'Write `key: value`.')
  const entries = new Map<string, Value>()
  for (const { key, value: node } of value.node.items as YAMLMap<Scalar<string>, Node | null>['items']) {
    const first = entries.get(key.value)
    if (first === undefined) entries.set(key.value, valueOf(key, node))
    else reportTwice(source, key, first)
  }
  return entries
}

function valueOf(key: Scalar<string>, node: Node | null): Value {
  const empty = node === null || (isScalar(node) && node.source === '')
  const keyOffset = startOf(key)
  return { name: `\`${key.value}\``, keyOffset, offset: empty ? keyOffset : startOf(node), node: empty ? null : node }
}

function reportTwice(source: Source, key: Scalar<string>, first: Value): void {
  const hint = `It already has a value in line ${source.lineOf(first.keyOffset)}: keep one of them.`
  source.report(key, `\`${key.value}\` is given twice`, hint)
}

/** The fields of one mapping, of which only `known` may occur. */
export class Fields {
  readonly offset: number
  readonly #source: Source
  readonly #entries: ReadonlyMap<string, Value>
  readonly #name: string

  private constructor(source: Source, value: Value, entries: ReadonlyMap<string, Value>) {
    this.#source = source
    this.#entries = entries
    this.#name = value.name
    this.offset = value.offset
  }

  static of(source: Source, value: Value, known: readonly string[]): Fields | undefined {
    const entries = entriesOf(source, value)
    if (entries === undefined || !isMap(value.node)) return undefined
    for (const { key } of value.node.items as YAMLMap<Scalar<string>>['items']) {
      if (known.includes(key.value)) continue
      source.report(key, `${value.name} has no setting \`${key.value}\``, sentence(suggestion(key.value, known)))
    }
    return new Fields(source, value, entries)
  }

  get(name: string): Value | undefined {
    return this.#entries.get(name)
  }

  required<T>(name: string, read: Reader<T>, hint: string): T | undefined {
    const value = this.#entries.get(name)
    if (value === undefined) return this.#source.report(this.offset, `${this.#name} needs \`${name}\``, hint)
    return read(this.#source, value)
  }

  optional<T>(name: string, read: Reader<T>, otherwise: T): T | undefined {
    const value = this.#entries.get(name)
    return value === undefined ? otherwise : read(this.#source, value)
  }
}

/** Each item of a list, bad ones left out; undefined when it is no list or has no item where it needs one. */
export const list =
  <T>(read: Reader<T>, { min = 0, max }: { readonly min?: number; readonly max: number }): Reader<readonly T[]> =>
  (source, value) => {
    if (!isSeq(value.node))
      return source.report(value.offset, `${value.name} must be a list`, 'Write `[a, b]`, or one `- item` a line.')
    const { items } = value.node
    if (items.length < min)
      return source.report(
        value.offset,
        `${value.name} has ${items.length} ${items.length === 1 ? 'entry' : 'entries'}`,
        `At least ${min} must be there.`,
      )
    if (items.length > max)
      source.report(
        value.offset,
        `${value.name} has ${items.length} ${items.length === 1 ? 'entry' : 'entries'}`,
        `At most ${max} are allowed.`,
      )
    return (items as (Node | null)[])
      .slice(0, max)
      .map((node) => read(source, itemOf(value, node)))
      .filter((item) => item !== undefined)
  }

function itemOf({ name, offset }: Value, node: Node | null): Value {
  const start = node === null ? offset : startOf(node)
  return { name: name.startsWith('an entry') ? name : `an entry of ${name}`, keyOffset: start, offset: start, node }
}

/** What the core schema of YAML 1.2 makes of a scalar. */
type Plain = string | number | boolean

function scalarOf(source: Source, { node, name, offset }: Value): Plain | undefined {
  if (node !== null && !isScalar(node))
    return source.report(offset, `${name} must be a single value`, 'It is a list or a mapping here.')
  const plain = node === null ? null : (node.value as Plain | null)
  return plain ?? source.report(offset, `${name} has no value`, 'Give it a value, or remove it.')
}

/** A text; `hint` says how it is written. */
export const text =
  ({
    pattern,
    max,
    hint,
  }: {
    readonly pattern?: RegExp
    readonly max: number
    readonly hint: string
  }): Reader<string> =>
  (source, value) => {
    const found = scalarOf(source, value)
    if (found === undefined) return undefined
    if (typeof found !== 'string')
      return source.report(value.offset, `${value.name} must be a text`, `${hint} Put it in quotes.`)
    if (found.trim() === '') return source.report(value.offset, `${value.name} is empty`, hint)
    if (found.length > max) return source.report(value.offset, `${value.name} is longer than ${max} characters`, hint)
    if (pattern !== undefined && !pattern.test(found))
      return source.report(value.offset, `\`${found}\` cannot be ${value.name}`, hint)
    return found
  }

/** A finite number; `holds` says which, `hint` in words. */
export const number =
  ({ holds, hint }: { readonly holds: (value: number) => boolean; readonly hint: string }): Reader<number> =>
  (source, value) => {
    const found = scalarOf(source, value)
    if (found === undefined) return undefined
    if (typeof found !== 'number') return source.report(value.offset, `${value.name} must be a number`, hint)
    if (!(Number.isFinite(found) && holds(found)))
      return source.report(value.offset, `${value.name} cannot be ${found}`, hint)
    return found
  }

export const share = number({ holds: (value) => value >= 0 && value <= 1, hint: 'Write a number from 0 to 1.' })

export const probability = number({
  holds: (value) => value > 0 && value < 1,
  hint: 'Write a number between 0 and 1, neither 0 nor 1.',
})

export const positiveInteger = number({
  holds: (value) => Number.isSafeInteger(value) && value >= 1,
  hint: 'Write a whole number from 1 up.',
})

export const truth: Reader<boolean> = (source, value) => {
  const found = scalarOf(source, value)
  if (found === undefined || typeof found === 'boolean') return found
  return source.report(value.offset, `${value.name} must be true or false`, 'Write `true` or `false`, without quotes.')
}

export const choice =
  <const T extends string>(options: readonly T[]): Reader<T> =>
  (source, value) => {
    const found = scalarOf(source, value)
    if (found === undefined) return undefined
    const chosen = options.find((option) => option === found)
    if (chosen !== undefined) return chosen
    const hint = sentence(suggestion(String(found), options))
    return source.report(value.offset, `${value.name} cannot be \`${String(found)}\``, hint)
  }

/** What `read` reads, or a written `null`. */
export const nothingOr =
  <T>(read: Reader<T>): Reader<T | null> =>
  (source, value) =>
    isScalar(value.node) && value.node.value === null && value.node.source !== '' ? null : read(source, value)

/** True when every part could be read. */
export const isWhole = <T extends object>(parts: T): parts is { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.values(parts).every((part) => part !== undefined)
