/** Where an action may go, from the most to the least permissive. */
export const ROUTES = ['execute', 'review', 'reject'] as const
export type Route = (typeof ROUTES)[number]

const STRICTNESS: Readonly<Record<Route, number>> = { execute: 0, review: 1, reject: 2 }

/** Greater is stricter. */
export const strictness = (route: Route): number => STRICTNESS[route]
