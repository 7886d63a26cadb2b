import type { Certificate, Certificates, CertificateTree } from '../decision/certificate.ts'
import type { ActionRule, Policy } from '../decision/policy.ts'
import { UNWATCHED } from '../watch/execution.ts'

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
  ...[...policy.actions.values()].flatMap((rule) =>
    perEventOf(rule, tree).map(({ id }) => `\`${rule.action}\`: the certificate ${id} ${UNWATCHED}`),
  ),
]

const perEventOf = ({ action, confidence }: ActionRule, tree: CertificateTree): readonly Certificate[] =>
  confidence.certified?.budget === 'per-event'
    ? (tree.below.get(action)?.certificates ?? []).filter(({ budget }) => budget === 'per-event')
    : []
