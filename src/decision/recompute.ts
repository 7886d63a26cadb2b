import type { Calibration } from './calibration.ts'
import type { Certificates } from './certificate.ts'
import { decide } from './decide.ts'
import type { Policy } from './policy.ts'
import type { Verdict } from './verdict.ts'

/** `differences`: the paths of the fields that differ, e.g. `findings.0.code`; empty when equal. */
export type Recomputed = { readonly equal: boolean; readonly differences: readonly string[] }

/** Decides again from what the verdict recorded, with the policy, the calibration and the certificates it names. */
export function recompute(
  verdict: Verdict,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
): Recomputed {
  const { event, source, facts } = verdict
  const differences = differencesOf(verdict, decide({ event, source }, facts, policy, calibration, certificates), '')
  return { equal: differences.length === 0, differences }
}

function differencesOf(a: unknown, b: unknown, path: string): readonly string[] {
  if (Object.is(a, b) || a === b) return []
  if (!isComposite(a) || !isComposite(b) || Array.isArray(a) !== Array.isArray(b)) return [path]
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].flatMap((name) =>
    differencesOf(valueOf(a, name), valueOf(b, name), path === '' ? name : `${path}.${name}`),
  )
}

const isComposite = (value: unknown): value is object => typeof value === 'object' && value !== null

/** An own property only: a name may be `constructor`. */
const valueOf = (value: object, name: string): unknown => Object.getOwnPropertyDescriptor(value, name)?.value
