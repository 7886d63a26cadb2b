/**
 * OTLP's protobuf form of a trace export request, read into its JSON form. Field numbers are those of
 * opentelemetry-proto's trace.proto, common.proto and resource.proto; the wire format is
 * https://protobuf.dev/programming-guides/encoding/. A field not listed is passed over.
 */
type Kind = 'string' | 'hex' | 'base64' | 'nanos' | 'int' | 'bool' | 'double' | Fields
type Field = { readonly name: string; readonly kind: Kind; readonly repeated: boolean }
type Fields = ReadonlyMap<number, Field>
type Message = Record<string, unknown>

const one = (name: string, kind: Kind): Field => ({ name, kind, repeated: false })
const many = (name: string, kind: Kind): Field => ({ name, kind, repeated: true })

const anyValue = new Map<number, Field>([
  [1, one('stringValue', 'string')],
  [2, one('boolValue', 'bool')],
  [3, one('intValue', 'int')],
  [4, one('doubleValue', 'double')],
  [7, one('bytesValue', 'base64')],
])
anyValue.set(5, one('arrayValue', new Map([[1, many('values', anyValue)]])))
const keyValue: Fields = new Map([
  [1, one('key', 'string')],
  [2, one('value', anyValue)],
])
const link: Fields = new Map([
  [1, one('traceId', 'hex')],
  [2, one('spanId', 'hex')],
])
const status: Fields = new Map([
  [2, one('message', 'string')],
  [3, one('code', 'int')],
])
const span: Fields = new Map([
  [1, one('traceId', 'hex')],
  [2, one('spanId', 'hex')],
  [4, one('parentSpanId', 'hex')],
  [5, one('name', 'string')],
  [6, one('kind', 'int')],
  [7, one('startTimeUnixNano', 'nanos')],
  [8, one('endTimeUnixNano', 'nanos')],
  [9, many('attributes', keyValue)],
  [13, many('links', link)],
  [15, one('status', status)],
])
const resource: Fields = new Map([[1, many('attributes', keyValue)]])
const scopeSpans: Fields = new Map([[2, many('spans', span)]])
const resourceSpans: Fields = new Map([
  [1, one('resource', resource)],
  [2, many('scopeSpans', scopeSpans)],
])
const request: Fields = new Map([[1, many('resourceSpans', resourceSpans)]])

const DEPTH_MAX = 20

/** The request in OTLP's JSON form. Throws a RangeError on bytes that are no such message. */
export const decodeTraces = (bytes: Uint8Array): unknown => readMessage(new Wire(bytes), request, 0)

function readMessage(wire: Wire, fields: Fields, depth: number): Message {
  if (depth > DEPTH_MAX) throw new RangeError('nested too deeply')
  const message: Message = {}
  while (!wire.atEnd) {
    const tag = wire.varint()
    const field = fields.get(Math.floor(tag / 8))
    const type = tag % 8
    if (field === undefined) wire.skip(type)
    else put(message, field, readValue(wire, field.kind, type, depth))
  }
  return message
}

function put(message: Message, { name, repeated }: Field, value: unknown): void {
  const before = message[name]
  if (!repeated) message[name] = value
  else if (Array.isArray(before)) before.push(value)
  else message[name] = [value]
}

function readValue(wire: Wire, kind: Kind, type: number, depth: number): unknown {
  const reader = typeof kind === 'string' ? SCALARS[kind] : nested(kind, depth)
  if (type !== reader.type) throw new RangeError(`wire type ${type} where ${reader.type} belongs`)
  return reader.read(wire)
}

const text = (encoding: 'utf8' | 'hex' | 'base64'): Reader => ({
  type: 2,
  read: (wire) => Buffer.from(wire.bytes()).toString(encoding),
})

const nested = (fields: Fields, depth: number): Reader => ({
  type: 2,
  read: (wire) => readMessage(new Wire(wire.bytes()), fields, depth + 1),
})

type Reader = { readonly type: number; readonly read: (wire: Wire) => unknown }

const SCALARS: Readonly<Record<Exclude<Kind, Fields>, Reader>> = {
  string: text('utf8'),
  hex: text('hex'),
  base64: text('base64'),
  nanos: { type: 1, read: (wire) => wire.fixed64().toString() },
  int: { type: 0, read: (wire) => wire.int64() },
  bool: { type: 0, read: (wire) => wire.varint() !== 0 },
  double: { type: 1, read: (wire) => wire.double() },
}

/** Reads forward over bytes; every read throws a RangeError beyond the end. */
class Wire {
  #at = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** Lengths, tags and small integers: beyond 2^53 only the magnitude is kept. */
  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = this.#view.getUint8(this.#at++)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new RangeError('a varint of more than ten bytes')
  }

  /** A negative number is its two's complement, in ten bytes. */
  int64(): number {
    const from = this.#at
    const value = this.varint()
    if (Number.isSafeInteger(value)) return value
    const bytes = this.#bytes.subarray(from, this.#at)
    const exact = bytes.reduceRight((sum, byte) => (sum << 7n) | BigInt(byte & 127), 0n)
    return Number(BigInt.asIntN(64, exact))
  }

  fixed64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true)
  }

  double(): number {
    return this.#view.getFloat64(this.#advance(8), true)
  }

  bytes(): Uint8Array {
    const length = this.varint()
    const from = this.#advance(length)
    return this.#bytes.subarray(from, from + length)
  }

  skip(type: number): void {
    if (type === 0) this.varint()
    else if (type === 1) this.#advance(8)
    else if (type === 2) this.bytes()
    else if (type === 5) this.#advance(4)
    else throw new RangeError(`wire type ${type} is not known`)
  }

  #advance(length: number): number {
    const from = this.#at
    if (!(from + length <= this.#bytes.length)) throw new RangeError('the message ends inside a field')
    this.#at = from + length
    return from
  }
}
