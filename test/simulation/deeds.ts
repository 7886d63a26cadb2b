import { between, pick } from '../../src/commands/demo/random.ts'
import type { FaultKind } from './plan.ts'
import type { Process } from './process.ts'
import type { Scene } from './scene.ts'

/** At most so many processes beside the planned ones. */
const NEWCOMERS_MAX = 2

type Deed = (scene: Scene) => string | null

/** What happens to processes and servers, as opposed to single requests; null when it could not be done now. */
const DEEDS: Partial<Record<FaultKind, Deed>> = {
  freeze: (scene) =>
    onProcess(scene, (process) => {
      if (scene.world.isFrozen(process.owner)) return null
      scene.world.freeze(process.owner)
      later(scene, 200, 14_000, () => scene.world.thaw(process.owner))
      return `${process.owner.name} freezes`
    }),
  kill: (scene) =>
    onProcess(scene, (process) => {
      scene.kill(process)
      const { slot } = process
      later(scene, 10, 12_000, () => scene.respawn(slot))
      return `${process.owner.name} is killed`
    }),
  stop: (scene) =>
    onProcess(scene, (process) => {
      process.stop()
      return `${process.owner.name} is stopped`
    }),
  double: (scene) =>
    onProcess(scene, ({ slot }) => {
      if (scene.running.filter((it) => it.slot === slot).length > 2) return null
      scene.spawn(slot)
      return `another ${slot} starts`
    }),
  newcomer: (scene) => {
    if (scene.slots.length >= scene.plan.workers + NEWCOMERS_MAX) return null
    const slot = `n${scene.slots.length}`
    scene.slots.push(slot)
    scene.spawn(slot)
    return `${slot} joins`
  },
  'leader moves': (scene) => {
    const { deeds } = scene.world.chance
    const topic = pick(deeds, ['model.outputs', 'decisions.execute', 'decisions.review', 'model.outputs.dlq'])
    const partition = Math.floor(deeds() * scene.plan.partitions)
    const node = aliveBroker(scene)
    if (node === null) return null
    scene.kafka.moveLeader(topic, partition, node)
    return `b${node} leads ${topic}-${partition}`
  },
  'coordinator moves': (scene) => {
    const { deeds } = scene.world.chance
    const node = aliveBroker(scene)
    if (node === null) return null
    if (deeds() < 0.5) {
      scene.kafka.moveCoordinator('group', 'sluice', node)
      return `b${node} coordinates the group`
    }
    const slot = pick(deeds, scene.slots as [string, ...string[]])
    scene.kafka.moveCoordinator('transaction', `sluice/${slot}`, node)
    return `b${node} coordinates ${slot}`
  },
  'broker dies': (scene) => {
    const node = aliveBroker(scene)
    if (node === null) return null
    scene.killBroker(node)
    later(scene, 200, 5_000, () => scene.restartBroker(node))
    return `b${node} dies`
  },
  'broker freezes': (scene) => {
    const node = aliveBroker(scene)
    if (node === null) return null
    scene.kafka.freeze(node)
    later(scene, 100, 5_000, () => scene.kafka.thaw(node))
    return `b${node} freezes`
  },
  'markers late': (scene) => {
    const ms = Math.floor(between(scene.world.chance.deeds, 0, 400))
    scene.kafka.setMarkerDelay(ms, ms)
    return `markers take ${ms} ms`
  },
  'redis away': (scene) => {
    if (scene.redis.mood !== 'serving') return null
    scene.redis.mood = 'away'
    scene.redis.cutAll()
    later(scene, 100, 4_000, () => serve(scene))
    return 'redis is away'
  },
  'redis read-only': (scene) => {
    if (scene.redis.mood !== 'serving') return null
    scene.redis.mood = 'read-only'
    later(scene, 100, 2_000, () => serve(scene))
    return 'redis is read-only'
  },
  'redis cut': (scene) => {
    scene.redis.cutAll()
    return 'redis drops its connections'
  },
  'redis fails over': (scene) => {
    if (scene.world.chance.deeds() < 0.3) {
      scene.redis.failOver(true)
      return 'redis fails over'
    }
    scene.redis.failOverAfter(1 + Math.floor(scene.world.chance.deeds() * 4))
    return 'redis is about to fail over'
  },
  'redis flushed': (scene) => {
    scene.redis.flush()
    return 'redis is flushed'
  },
  'redis functions lost': (scene) => {
    scene.redis.dropFunctions()
    return 'redis loses its functions'
  },
  'clock jumps': (scene) =>
    onProcess(scene, (process) => {
      const ms = Math.floor(between(scene.world.chance.deeds, -30_000, 30_000))
      process.owner.clockOffsetMs += ms
      return `the clock of ${process.owner.name} jumps by ${ms} ms`
    }),
  'redis clock jumps': (scene) => {
    const ms = Math.floor(between(scene.world.chance.deeds, -5_000, 5_000))
    scene.redis.clockOffsetMs += ms
    return `the clock of redis jumps by ${ms} ms`
  },
  'registry away': (scene) => {
    scene.registry.mood = pick(scene.world.chance.deeds, ['hanging', 'failing'])
    later(scene, 200, 6_000, () => (scene.registry.mood = 'serving'))
    return `the registry is ${scene.registry.mood}`
  },
  'policy swapped': (scene) => {
    scene.swapPolicy()
    return 'another policy is in force'
  },
  'order given': (scene) => {
    const id = `o${Math.floor(scene.world.chance.deeds() * 2)}`
    const isLifted = scene.world.chance.deeds() < 0.5
    const order = { ...ORDER, id, kind: id === 'o0' ? ('kill' as const) : ('force' as const) }
    for (const process of scene.running) process.orders.apply(id, isLifted ? null : order)
    return `order ${id} is ${isLifted ? 'lifted' : 'given'}`
  },
}

const ORDER = {
  route: 'review',
  rule: null,
  tenant: null,
  model: null,
  action: 'item.flag',
  actor: 'a',
  author: 'ada',
  reason: 'incident',
  createdAt: 0,
  expiresAt: null,
  certificate: null,
} as const

/** The deeds that a plan allows. */
export const deedsOf = (scene: Scene): readonly FaultKind[] =>
  scene.plan.faults.filter((fault) => DEEDS[fault] !== undefined)

export function doDeed(scene: Scene, kind: FaultKind): void {
  const what = DEEDS[kind]?.(scene) ?? null
  if (what !== null) scene.world.note(`*** ${what}`)
}

function onProcess(scene: Scene, deed: (process: Process) => string | null): string | null {
  const [first, ...rest] = scene.running
  return first === undefined ? null : deed(pick(scene.world.chance.deeds, [first, ...rest]))
}

function aliveBroker(scene: Scene): number | null {
  const alive = Array.from({ length: scene.plan.brokers }, (_, at) => at + 1).filter((it) => !scene.deadBrokers.has(it))
  return alive[Math.floor(scene.world.chance.deeds() * alive.length)] ?? null
}

function later(scene: Scene, minMs: number, maxMs: number, run: () => void): void {
  scene.world.happen(between(scene.world.chance.deeds, minMs, maxMs), null, 'undo', () => {
    if (!scene.healed) run()
  })
}

function serve(scene: Scene): void {
  scene.redis.mood = 'serving'
}

/** Everything works again, and every slot has a process. */
export function heal(scene: Scene): void {
  scene.healed = true
  scene.world.note('*** all is healed')
  for (const { owner } of scene.processes) scene.world.thaw(owner)
  for (let node = 1; node <= scene.plan.brokers; node++) {
    scene.kafka.thaw(node)
    if (scene.deadBrokers.has(node)) scene.restartBroker(node)
  }
  scene.kafka.setMarkerDelay(0)
  scene.redis.mood = 'serving'
  scene.redis.failOverAfter(Infinity)
  scene.registry.mood = 'serving'
  for (const slot of scene.slots) scene.respawn(slot)
}
