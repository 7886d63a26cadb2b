import { policyText, ruleText } from './written.ts'

const ALONE = { context: '', limits: '', rules: '' }
const action = (settings: string): string => policyText({ ...ALONE, actions: `actions:\n  a: ${settings}\n` })

export const GOOD_POLICIES: readonly { readonly name: string; readonly text: string }[] = [
  { name: 'everything', text: policyText() },
  { name: 'the least', text: 'policy: p\nversion: 1\nactions: { a: { undo: reversible } }\n' },
  { name: 'as JSON', text: '{"policy":"p","version":1,"actions":{"a":{"undo":"reversible"}}}' },
  {
    name: 'all settings of the head',
    text: policyText({
      head: 'policy: p\nversion: 2\nevent: { maxFuture: 0s, maxAge: 366d }\nduplicates: { window: 31d }\naudit: { share: 1, salt: "2" }\n',
    }),
  },
  { name: 'a threshold of 0', text: action('{ undo: reversible, confidence: { execute: 0, reject: 0 } }') },
  { name: 'reject at execute', text: action('{ undo: reversible, confidence: { execute: 0.5, reject: 0.5 } }') },
  { name: 'a stateless action', text: action('{ undo: compensable, stateless: true, executeWithin: 1s, audit: 0 }') },
  { name: 'irreversible, not stateless', text: action('{ undo: irreversible, stateless: false }') },
  {
    name: 'a certificate and a calibrated score',
    text: action(
      '{ undo: irreversible, confidence: { certified: { risk: 0.5, assurance: 0.5 }, calibrated: required } }',
    ),
  },
  {
    name: 'reviewers for all, and some for one action',
    text: policyText({
      ...ALONE,
      actions:
        'actions:\n  a: { undo: reversible, reviewCapacity: 400/8h }\n  b: { undo: reversible }\nreviewCapacity: 50/h\n',
    }),
  },
  {
    name: 'costs by amount',
    text: action(
      '{ undo: irreversible, confidence: { certified: { risk: 0.5, assurance: 0.5 }, calibrated: required }, costs: { wrongExecution: "event.attributes.amount * 1.5 + (event.tenant == \'a\' ? 2.0 : 0.0)", wrongReject: 15, review: 4 } }',
    ),
  },
  {
    name: 'constant costs',
    text: action(
      '{ undo: reversible, confidence: { execute: 0.9, calibrated: required }, costs: { wrongExecution: 200, wrongReject: 0.5, review: 0 } }',
    ),
  },
  {
    name: 'a certificate per segment, of all events',
    text: action(
      '{ undo: irreversible, confidence: { certified: { risk: 0.5, assurance: 0.5, budget: per-event, segment: attributes.category } } }',
    ),
  },
  {
    name: 'names like those of JavaScript’s own',
    text: policyText({
      actions: 'actions:\n  constructor: { undo: reversible }\n  toString: { undo: reversible }\n',
      context:
        'context:\n  constructor: { key: attributes.constructor, maxAge: 1s, missing: execute, stale: reject }\n',
      limits: 'limits:\n  - { id: constructor, count: proposals, per: [], max: 1, window: 1s, over: review }\n',
      rules: ruleText('counters.constructor > 1 && context.constructor.constructor == 1'),
    }),
  },
  {
    name: 'every dimension, with and without event.',
    text: policyText({
      limits: `limits:
  - { id: a, count: proposals, per: [tenant, source, action, actor, model.name, model.version, subject.type, subject.id], max: 1, window: 31d, over: review }
  - { id: b, count: executions, per: [event.subject.owner, event.attributes.a.b-c_D], max: 9007199254740991, window: 1000ms, over: reject, actions: [listing.flag] }
`,
    }),
  },
  { name: 'a rule that always holds', text: policyText({ rules: ruleText('"true"') }) },
  { name: 'a rule without actions of its own', text: policyText({ rules: ruleText('now > event.time') }) },
]
