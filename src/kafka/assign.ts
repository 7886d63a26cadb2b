/** A member as the group's leader sees it; `owned` is what it had at `generation`. */
export type Claimant = {
  readonly member: string
  readonly instance: string
  readonly owned: readonly number[]
  readonly generation: number
}

/**
 * Who reads which partition: shares differ by one at the most, and as many partitions as that allows stay where they
 * were. Of two who claim the same one, the later generation has it. The same input gives the same answer.
 */
export function assignPartitions(
  claimants: readonly Claimant[],
  partitions: readonly number[],
): ReadonlyMap<string, readonly number[]> {
  const held = heldBy(claimants, new Set(partitions))
  const least = Math.floor(partitions.length / claimants.length)
  let larger = partitions.length % claimants.length
  const shares = new Map<string, number[]>()
  const limits = new Map<string, number>()
  for (const { member } of byHolding(claimants, held)) {
    const limit = larger > 0 ? least + 1 : least
    larger -= 1
    limits.set(member, limit)
    shares.set(member, (held.get(member) ?? []).slice(0, limit))
  }
  fill(shares, limits, partitions)
  return shares
}

function heldBy(claimants: readonly Claimant[], existing: ReadonlySet<number>): ReadonlyMap<string, readonly number[]> {
  const latestFirst = claimants.toSorted((a, b) => b.generation - a.generation || compare(a.instance, b.instance))
  const taken = new Set<number>()
  const held = new Map<string, readonly number[]>()
  for (const { member, owned } of latestFirst) {
    const own = owned.filter((partition) => existing.has(partition) && !taken.has(partition))
    for (const partition of own) taken.add(partition)
    held.set(
      member,
      own.toSorted((a, b) => a - b),
    )
  }
  return held
}

/** Those who hold most get the larger shares, so that fewer partitions move. */
function byHolding(claimants: readonly Claimant[], held: ReadonlyMap<string, readonly number[]>): readonly Claimant[] {
  const count = ({ member }: Claimant): number => held.get(member)?.length ?? 0
  return claimants.toSorted((a, b) => count(b) - count(a) || compare(a.instance, b.instance))
}

function fill(
  shares: ReadonlyMap<string, number[]>,
  limits: ReadonlyMap<string, number>,
  partitions: readonly number[],
): void {
  const given = new Set([...shares.values()].flat())
  const free = partitions.filter((partition) => !given.has(partition)).toSorted((a, b) => b - a)
  for (const [member, share] of shares) {
    while (share.length < (limits.get(member) ?? 0)) {
      const next = free.pop()
      if (next === undefined) return
      share.push(next)
    }
    share.sort((a, b) => a - b)
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
