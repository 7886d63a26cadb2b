import { between, pick, seededRandom } from '../../src/commands/demo/random.ts'

/** Everything that can go wrong. A seed has a random part of them. */
export const FAULTS = [
  'delay',
  'request lost',
  'request late',
  'reply lost',
  'request twice',
  'silence',
  'freeze',
  'kill',
  'stop',
  'double',
  'newcomer',
  'leader moves',
  'coordinator moves',
  'broker dies',
  'broker freezes',
  'markers late',
  'redis delay',
  'redis reply lost',
  'redis request late',
  'redis call twice',
  'redis cut',
  'redis away',
  'redis read-only',
  'redis fails over',
  'redis flushed',
  'redis functions lost',
  'clock jumps',
  'redis clock jumps',
  'registry away',
  'policy swapped',
  'order given',
] as const

export type FaultKind = (typeof FAULTS)[number]

/** What one seed is: a world, a traffic, and what may go wrong in it. */
export type Plan = {
  readonly seed: number
  readonly faults: readonly FaultKind[]
  /** How many steps may go wrong; then everything is healed. */
  readonly steps: number
  readonly brokers: number
  readonly partitions: number
  readonly workers: number
  /** Records produced, over `trafficMs` of simulated time. */
  readonly events: number
  readonly trafficMs: number
  /** The share of records that repeat an earlier one, and of those that say something else under its id. */
  readonly repeats: number
  readonly conflicts: number
  readonly batchRecords: number
  readonly intervalMs: number
  /** Mean number of steps from one deed to the next. */
  readonly deedEvery: number
  /** Probability of each kind of trouble that a request may have. */
  readonly trouble: number
  /** Calls by which the replica may lag. */
  readonly replicaLag: number
  readonly backlogEvents: number
  /** Whether windows outlast the world, so that nothing is ever forgotten. */
  readonly longWindows: boolean
  /** Whether somebody reads the verdicts from the beginning on. */
  readonly reads: boolean
  /** Deeds from this one on are left out; for a shrunk history. */
  readonly deedsMax: number
}

/** As in most seeds. */
const USUAL = { repeats: 0.05, conflicts: 0.02 }

export const DEFAULT_STEPS = 1000

export function planOf(seed: number, steps: number): Plan {
  const random = seededRandom(Math.imul(seed, 0x27d4eb2f) ^ 0x165667b1)
  const whole = (min: number, max: number): number => Math.floor(between(random, min, max + 1))
  const share = random() ** 2
  const faults = FAULTS.filter(() => random() < share)
  return {
    seed,
    faults,
    steps,
    brokers: pick(random, [1, 2, 3]),
    partitions: whole(1, 4),
    workers: whole(1, 3),
    events: whole(8, 60),
    trafficMs: pick(random, [200, 2_000, 8_000]),
    ...pick(random, [USUAL, USUAL, USUAL, { repeats: 0.2, conflicts: 0.2 }]),
    batchRecords: pick(random, [1, 2, 3, 5, 8, 20]),
    intervalMs: pick(random, [0, 5, 50]),
    deedEvery: pick(random, [20, 60, 200]),
    trouble: pick(random, [0.002, 0.01, 0.04]),
    replicaLag: pick(random, [0, 2, 10]),
    backlogEvents: pick(random, [10, 40, 1000]),
    longWindows: random() < 0.5,
    reads: random() < 0.25,
    deedsMax: Infinity,
  }
}
