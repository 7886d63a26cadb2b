import type { Limit } from '../decision/policy.ts'
import type { CelSetting } from './cel-environment.ts'
import type { Placed } from './names.ts'
import type { Actions } from './read-actions.ts'
import type { DeclaredNeed } from './read-context.ts'
import type { WrittenRule } from './read-rules.ts'

/** Everything a policy file says, each part with its place. */
export type WrittenPolicy = {
  readonly actions: Actions
  readonly limits: readonly Placed<Limit>[]
  readonly context: readonly Placed<DeclaredNeed>[]
  readonly setting: CelSetting
  readonly rules: readonly Placed<WrittenRule>[]
}
