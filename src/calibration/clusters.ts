import { below, type Random } from './random.ts'

/**
 * One random row of each cluster, as places in ascending order. Rows of one customer or thread resemble each other, and
 * counted as independent they promise too much.
 */
export function oneRowPerCluster(clusters: readonly string[], random: Random): Uint32Array {
  const kept = new Map<string, { readonly row: number; readonly seen: number }>()
  for (const [row, cluster] of clusters.entries()) {
    const seen = (kept.get(cluster)?.seen ?? 0) + 1
    const isKept = below(random, seen) === 0
    kept.set(cluster, { row: isKept ? row : (kept.get(cluster)?.row ?? row), seen })
  }
  return Uint32Array.from(kept.values(), ({ row }) => row).sort()
}
