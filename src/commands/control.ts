import { createRecords } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions } from '../connections.ts'
import { controlProblem, isInForce, withdrawalOf } from '../decision/control.ts'
import type { ControlOrder } from '../decision/control.ts'
import type { ControlKind } from '../decision/facts.ts'
import type { Route } from '../decision/route.ts'
import { LogLookup } from '../kafka/lookup.ts'
import { Producer } from '../kafka/producer.ts'
import { parseDuration } from '../policy/duration.ts'
import { RecordWriter } from '../sdk/record-writer.ts'
import { sdkAccess } from './access.ts'
import { newestPolicy } from '../rulebook-archive.ts'
import { readToolConfig } from './tool-config.ts'

export type OrderOptions = {
  readonly id?: string
  readonly tenant?: string
  readonly model?: string
  readonly action?: string
  readonly actor?: string
  readonly author: string
  readonly reason: string
  /** A duration from now, e.g. 2h. */
  readonly for?: string
  readonly route?: Route
}

/** `sluice control kill|force|exempt`: puts an order in force for every processor within moments. Returns the exit code. */
export async function giveOrder(
  file: string | undefined,
  kind: ControlKind,
  rule: string | null,
  options: OrderOptions,
): Promise<number> {
  return await send(file, kind, orderOf(kind, rule, options, Date.now()))
}

/** `sluice control withdraw CERTIFICATE`: nothing is executed on it any more. Returns the exit code. */
export const withdrawCertificate = (
  file: string | undefined,
  certificate: string,
  { author, reason }: { readonly author: string; readonly reason: string },
): Promise<number> =>
  send(
    file,
    'withdraw',
    authorProblem({ author, reason }) ?? withdrawalOf(certificate, { author, reason, createdAt: Date.now() }),
  )

/** Sends an order, or says what is wrong with it. */
async function send(file: string | undefined, command: string, order: ControlOrder | string): Promise<number> {
  const config = readToolConfig(file)
  const problem = typeof order === 'string' ? order : controlProblem(order)
  if (typeof order === 'string' || problem !== null) {
    console.error(`sluice control ${command}: ${problem ?? ''}`)
    return 2
  }
  await using open = new AsyncDisposableStack()
  const writer = new RecordWriter('Control', config.TOPIC_CONTROL, sdkAccess(config))
  open.defer(() => writer.close())
  const event = {
    id: `${order.id}:${order.createdAt}`,
    source: '/sluice/cli',
    type: 'sluice.control',
    time: order.createdAt,
  }
  await writer.send({ key: order.id, value: order, event, attributes: {} })
  console.log(`in force: ${inWords(order)}`)
  console.log(`lift it with: sluice control lift ${order.id}`)
  if (order.rule !== null) await warnOfUnknownRule(order.rule, config)
  return 0
}

/** The order stands all the same, since the policy that has the rule may be about to be rolled out. */
async function warnOfUnknownRule(rule: string, config: Config): Promise<void> {
  await using open = new AsyncDisposableStack()
  const lookup = new LogLookup(kafkaConnection(config))
  open.defer(() => lookup.close())
  const policy = await newestPolicy((topic) => lookup.all(topic), config.TOPIC_POLICIES)
  if (policy === null) return
  const known = [...policy.rules, ...policy.limits].map(({ id }) => id)
  if (known.includes(rule)) return
  const what = `the policy decided with last, ${policy.name} version ${policy.version}, has no rule or limit \`${rule}\``
  console.error(`beware: ${what}; it has: ${known.join(', ')}`)
}

/** The order, or what is wrong with the options. */
function orderOf(kind: ControlKind, rule: string | null, options: OrderOptions, now: number): ControlOrder | string {
  const ms = options.for === undefined ? null : parseDuration(options.for)
  if (options.for !== undefined && !(ms !== null && ms > 0))
    return `--for ${options.for} is no duration; write 30m, 2h or 7d`
  const unsigned = authorProblem(options)
  if (unsigned !== null) return unsigned
  if (kind === 'exempt' && ms === null) return 'an exemption must expire: add --for with a duration, e.g. --for 2h'
  const { tenant = null, model = null, action = null, actor = null, author, reason } = options
  return {
    id: options.id ?? [kind, rule ?? [], scopeOf({ tenant, model, action, actor })].flat(2).join(':'),
    kind,
    route: options.route ?? (kind === 'exempt' ? 'execute' : kind === 'kill' ? 'reject' : 'review'),
    rule,
    tenant,
    model,
    action,
    actor,
    author,
    reason,
    createdAt: now,
    expiresAt: ms === null ? null : now + ms,
    certificate: null,
  }
}

const authorProblem = ({ author, reason }: { readonly author: string; readonly reason: string }): string | null =>
  author.trim() === '' || reason.trim() === ''
    ? 'who orders it and why are kept with every decision: --author and --reason must not be empty'
    : null

/** `sluice control lift ID`. */
export async function liftOrder(file: string | undefined, id: string): Promise<number> {
  const config = readToolConfig(file)
  if (!(await ordersOf(config)).some((order) => order.id === id)) {
    console.error(`sluice control lift: no order \`${id}\` is in force; \`sluice control list\` lists them`)
    return 1
  }
  await using open = new AsyncDisposableStack()
  const producer = new Producer(kafkaConnection(config))
  open.defer(() => producer.close())
  const tombstone = { key: Buffer.from(id), value: null, timestamp: Date.now(), headers: [] }
  await producer.send([{ topic: config.TOPIC_CONTROL, partition: null, ...tombstone }])
  console.log(`lifted: ${id}`)
  return 0
}

/** `sluice control list`: the orders that have not expired. */
export async function listOrders(file: string | undefined, options: { readonly json: boolean }): Promise<number> {
  const now = Date.now()
  const orders = (await ordersOf(readToolConfig(file))).filter((order) => isInForce(order, now))
  if (options.json) console.log(JSON.stringify(orders, null, 2))
  else if (orders.length === 0) console.log('no orders are in force')
  else for (const order of orders) console.log(inWords(order))
  return 0
}

/** What the control topic holds, last word per id. */
async function ordersOf(config: Config): Promise<readonly ControlOrder[]> {
  await using open = new AsyncDisposableStack()
  const lookup = new LogLookup(kafkaConnection(config))
  open.defer(() => lookup.close())
  const registry = await openRegistry(registryOptions(config, () => undefined))
  open.defer(() => registry.close())
  const records = createRecords(registry, config.SLUICE_MAX_EVENT_BYTES)
  const orders = new Map<string, ControlOrder>()
  for (const { key, value } of await lookup.all(config.TOPIC_CONTROL)) {
    const id = key?.toString('utf8') ?? ''
    const read = value === null ? null : await records.decode('Control', config.TOPIC_CONTROL, value)
    if (read === null) orders.delete(id)
    else if (read.kind === 'fault')
      console.error(`an order under the key \`${id}\` cannot be read: ${read.fault.detail}`)
    else orders.set(id, read.value)
  }
  return [...orders.values()]
}

function inWords(order: ControlOrder): string {
  const { tenant, model, action, actor, expiresAt } = order
  const scope = scopeOf({ tenant, model, action, actor })
  const until = expiresAt === null ? 'until lifted' : `until ${new Date(expiresAt).toISOString()}`
  const what = whatOf(order)
  return `${order.id}: ${what}, ${scope.length === 0 ? 'everything' : scope.join(', ')}, ${until}, by ${order.author}: ${order.reason}`
}

function whatOf({ kind, rule, route, certificate }: ControlOrder): string {
  if (certificate !== null) return `certificate ${certificate} withdrawn`
  return kind === 'exempt' ? `exempt ${rule ?? ''}` : `${kind} → ${route}`
}

/** What narrows the order down, as `name=value`. */
const scopeOf = (scope: Readonly<Record<string, string | null>>): readonly string[] =>
  Object.entries(scope).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]))
