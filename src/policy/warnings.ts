import type { Certificates } from '../decision/certificate.ts'
import type { ActionRule, Policy } from '../decision/policy.ts'

/** What a policy may say, and hardly means: a sentence each. */
export const policyWarnings = ({ actions }: Policy): readonly string[] =>
  [...actions.values()]
    .filter(isUnwatched)
    .map(
      ({ action }) =>
        `\`${action}\` is executed on certificates and never audited (\`audit\` is 0), so nothing would notice ` +
        'when they no longer hold: give it an `audit` above 0',
    )

const isUnwatched = ({ confidence, auditShare }: ActionRule): boolean =>
  confidence.certified !== null && auditShare === 0

/** The same for a policy and the certificates that are in force with it. */
export const rulebookWarnings = (policy: Policy, { tree }: Certificates): readonly string[] => [
  ...policyWarnings(policy),
  ...[...policy.actions.values()]
    .filter(({ action, confidence }) => confidence.certified !== null && !tree.below.has(action))
    .map(({ action }) => `\`${action}\` is executed only on a certificate, and none is in force: it goes to review`),
]
