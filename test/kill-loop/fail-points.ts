import { Cluster } from '../../src/kafka/cluster.ts'
import { TransactionClient } from '../../src/kafka/transaction-client.ts'
import { Connection } from '../../src/redis/connection.ts'
import { START_ORDER } from './points.ts'
import type { Order, Point, Report } from './points.ts'

/**
 * Loaded into a processor with `--import`, and nowhere mentioned in the product: wraps the methods that every request
 * to Kafka and Redis goes through, so that the harness can order the process to kill or stop itself right there.
 */
let order: Order | null = null

const first = process.env[START_ORDER]
if (first !== undefined) order = { at: first, deed: 'SIGKILL' }

process.on('message', (message: Order) => {
  order = message
})
// Listening must not keep a process alive that has drained.
process.channel?.unref()

function pass(point: Point): void {
  if (order?.at !== point) return
  const { deed } = order
  order = null
  process.kill(process.pid, deed)
  // Not one more step may be done until the signal has come.
  if (deed === 'SIGKILL') for (;;);
}

/** Passes the points of one request. What was sent may be anywhere on its way within the few milliseconds after. */
async function throughPoints<T>(name: string, send: () => Promise<T>): Promise<T> {
  pass(`${name} before`)
  const answer = send()
  if (order?.at === `${name} sent`) setTimeout(() => pass(`${name} sent`), Math.random() * 3)
  const value = await answer
  pass(`${name} answered`)
  return value
}

const { send } = Cluster.prototype
Cluster.prototype.send = async function <Response>(...args: Parameters<typeof send<Response>>): Promise<Response> {
  return await throughPoints(args[2].apiName, () => send.apply(this, args) as Promise<Response>)
}

const { call } = Connection.prototype
Connection.prototype.call = async function (...args) {
  return await throughPoints(args[0], () => call.apply(this, args))
}

const { commit } = TransactionClient.prototype
let serving = false
TransactionClient.prototype.commit = async function (...args) {
  await commit.apply(this, args)
  if (!serving) process.send?.({ serving: true } satisfies Report)
  serving = true
}
