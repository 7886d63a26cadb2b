/** Parts of a policy that is fine; a test replaces the part it is about. */
const PARTS = {
  head: `policy: shop
version: 1
`,
  actions: `actions:
  listing.flag: { undo: reversible, confidence: { execute: 0.8, reject: 0.2 } }
  listing.remove: { undo: irreversible, confidence: { certified: { risk: 0.01, assurance: 0.95 } } }
  refund.issue: { undo: compensable }
`,
  context: `context:
  seller: { key: attributes.seller, maxAge: 1h, missing: review, fields: { trusted: bool, rating: double, tier: string } }
  free: { key: actor, maxAge: 1h, missing: review }
`,
  limits: `limits:
  - { id: burst, count: proposals, per: [subject.owner], max: 20, window: 1m, over: review }
  - { id: per-model, count: executions, per: [model.name, action], max: 100, window: 1h, over: reject }
`,
  rules: `rules:
  - id: trusted
    when: event.action == "listing.remove" && context.seller.trusted
    route: review
    code: policy.trusted
    because: a person looks at it
`,
}

export const policyText = (change: Partial<typeof PARTS> = {}): string =>
  Object.values({ ...PARTS, ...change }).join('')

/** One rule with this `when`, written in block style below it. */
export const ruleText = (when: string, more = ''): string => `rules:
  - id: r
    when: ${when}
    route: review
    code: policy.r
    because: why
${more}`

export type Mark = { readonly line: number; readonly column: number }

/** Where the marks `‸` stand in a text, and the text without them. */
export function unmarked(marked: string): { readonly text: string; readonly marks: readonly Mark[] } {
  const pieces = marked.split('‸')
  const marks = pieces.slice(0, -1).map((_piece, index) => {
    const lines = pieces
      .slice(0, index + 1)
      .join('')
      .split('\n')
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
  })
  return { text: pieces.join(''), marks }
}
