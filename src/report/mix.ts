import type { Basis } from './report.ts'

export type RouteShare = { readonly route: string; readonly events: number }

export type Mix = {
  /** What the threshold does to the unlabelled rows; those without a score go to review too. */
  readonly expected: { readonly execute: number; readonly review: number; readonly withoutScore: number }
  /** Reviews a day at the rate of the unlabelled rows; null where they have no times. */
  readonly reviewsPerDay: number | null
  /** What the processor decided. */
  readonly observed: {
    readonly routes: readonly RouteShare[]
    readonly codes: readonly (RouteShare & { readonly code: string })[]
    readonly reviewsPerDay: number | null
  } | null
}

const DAY_MS = 86_400_000

export function mixOf({ certificate, part, unlabelled, observed }: Basis): Mix {
  const execute = part.scores.filter((score) => score >= certificate.threshold).length
  // A row without a score has its segment all the same, but only the number of them all was kept.
  const share = part.scores.length / Math.max(1, unlabelled.data.scores.length)
  const withoutScore = Math.round(unlabelled.withoutScore * share)
  const review = part.scores.length - execute
  return {
    expected: { execute, review, withoutScore },
    reviewsPerDay: perDay(review + withoutScore, unlabelled.spanMs),
    observed:
      observed === null
        ? null
        : {
            routes: ROUTES.map((route) => ({
              route,
              events: observed.verdicts.filter((it) => it.route === route).length,
            })),
            codes: commonCodes(observed.verdicts),
            reviewsPerDay: perDay(observed.verdicts.filter(({ route }) => route === 'review').length, observed.spanMs),
          },
  }
}

const ROUTES = ['execute', 'review', 'reject'] as const

const perDay = (events: number, spanMs: number | null): number | null =>
  spanMs === null || spanMs <= 0 ? null : (events * DAY_MS) / spanMs

function commonCodes(
  verdicts: readonly { readonly route: string; readonly code: string }[],
): readonly (RouteShare & { readonly code: string })[] {
  const counts = new Map<string, { route: string; code: string; events: number }>()
  for (const { route, code } of verdicts) {
    if (code === '') continue
    const count = counts.get(`${route} ${code}`) ?? { route, code, events: 0 }
    counts.set(`${route} ${code}`, { ...count, events: count.events + 1 })
  }
  return [...counts.values()].sort((a, b) => b.events - a.events || (a.code < b.code ? -1 : 1)).slice(0, 12)
}
