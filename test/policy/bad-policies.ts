import { policyText, ruleText } from './written.ts'

export type BadPolicy = {
  readonly name: string
  /** The text, with `‸` before each place a problem is to be reported at. */
  readonly marked: string
  /** One message for each mark, in order. */
  readonly messages: readonly string[]
  /** What the JSON Schema can tell as well. `syntax`: it never gets to see such a text. */
  readonly schema: 'rejects' | 'accepts' | 'syntax'
}

const bad = (name: string, schema: BadPolicy['schema'], marked: string, ...messages: readonly string[]): BadPolicy => ({
  name,
  schema,
  marked,
  messages,
})

const actions = (text: string): string =>
  policyText({ actions: `actions:\n  ${text}\n`, context: '', limits: '', rules: '' })
const limits = (text: string): string => policyText({ limits: `limits:\n  - ${text}\n` })
const context = (text: string): string => policyText({ context: `context:\n  ${text}\n`, rules: '' })
const rules = (text: string): string => policyText({ rules: `rules:\n  - ${text}\n` })
const head = (text: string): string => policyText({ head: text })

const RULE = 'id: r, when: "now == now", route: review, code: policy.r, because: why'
const LIMIT = 'id: l, count: proposals, per: [tenant], max: 1, window: 1m, over: review'
const NEED = 'key: actor, maxAge: 1h, missing: review'

export const BAD_POLICIES: readonly BadPolicy[] = [
  bad('an empty file', 'syntax', '‸', 'the file is empty'),
  bad('a list', 'rejects', '‸- policy', 'the policy must be a mapping'),
  bad(
    'a tab as indentation',
    'syntax',
    'policy:\n‸\tp: 1',
    'this is not valid YAML: tabs are not allowed as indentation',
  ),
  bad('an open quote', 'syntax', 'policy: "shop‸', 'this is not valid YAML: missing closing "quote'),
  bad('two documents', 'syntax', 'policy: p\n‸---\nversion: 1\n', 'the file holds more than one document'),
  bad(
    'an alias',
    'syntax',
    'policy: p\naudit: &a ‸{ share: 0 }\nevent: ‸*a\n',
    'the anchor `&a` is not used here',
    '`*a` refers to another place',
  ),
  bad(
    'a merge key',
    'rejects',
    head('policy: p\nversion: 1\n‸<<: { audit: { share: 1 } }\n'),
    'the policy has no setting `<<`',
  ),
  bad('a tag', 'syntax', 'policy: ‸!!binary aGk=', 'this is not valid YAML: unresolved tag: tag:yaml.org,2002:binary'),
  bad('a list as key', 'syntax', '? ‸[a]\n: 1', 'a key must be a text'),
  bad('a file nested without end', 'syntax', `‸${'['.repeat(20_000)}`, 'the file is nested too deeply to be read'),
  bad('a lone surrogate', 'syntax', '‸policy: \ud800', 'the file is not valid Unicode'),
  bad('a huge file', 'syntax', `‸#${' '.repeat(262_144)}`, 'the file has 262145 characters; 262144 is the most'),

  bad('no version', 'rejects', head('‸policy: p\n'), 'the policy needs `version`'),
  bad(
    'a misspelt setting',
    'rejects',
    head('policy: p\nversion: 1\n‸verson: 2\n'),
    'the policy has no setting `verson`',
  ),
  bad('a key given twice', 'syntax', head('policy: p\nversion: 1\n‸version: 2\n'), '`version` is given twice'),
  bad('a setting without a value', 'rejects', head('policy: p\n‸version:\n'), '`version` has no value'),
  bad('a text as version', 'rejects', head('policy: p\nversion: ‸"1"\n'), '`version` must be a number'),
  bad('a fraction as version', 'rejects', head('policy: p\nversion: ‸1.5\n'), '`version` cannot be 1.5'),
  bad('version 0', 'rejects', head('policy: p\nversion: ‸0\n'), '`version` cannot be 0'),
  bad('a number as name', 'rejects', head('policy: ‸7\nversion: 1\n'), '`policy` must be a text'),
  bad('a name with a space', 'rejects', head('policy: ‸my shop\nversion: 1\n'), '`my shop` cannot be `policy`'),
  bad('a list as name', 'rejects', head('policy: ‸[p]\nversion: 1\n'), '`policy` must be a single value'),
  bad(
    'two mistakes at once',
    'rejects',
    head('policy: ‸P\nversion: ‸-1\n'),
    '`P` cannot be `policy`',
    '`version` cannot be -1',
  ),
  bad(
    'a duration without unit',
    'rejects',
    head('policy: p\nversion: 1\nevent: { maxFuture: ‸5 }\n'),
    '`maxFuture` must be a text',
  ),
  bad(
    'a duration in words',
    'rejects',
    head('policy: p\nversion: 1\nevent: { maxAge: ‸5 minutes }\n'),
    '`5 minutes` is not a duration',
  ),
  bad(
    'a window of half a second',
    'accepts',
    head('policy: p\nversion: 1\nduplicates: { window: ‸500ms }\n'),
    '`window` cannot be 500ms',
  ),
  bad(
    'a window of 32 days',
    'accepts',
    head('policy: p\nversion: 1\nduplicates: { window: ‸32d }\n'),
    '`window` cannot be 32d',
  ),
  bad('an audit of 110 %', 'rejects', head('policy: p\nversion: 1\naudit: { share: ‸1.1 }\n'), '`share` cannot be 1.1'),
  bad('an audit of NaN', 'rejects', head('policy: p\nversion: 1\naudit: { share: ‸.nan }\n'), '`share` cannot be NaN'),
  bad(
    'an audit without share',
    'rejects',
    head('policy: p\nversion: 1\naudit: ‸{ salt: x }\n'),
    '`audit` needs `share`',
  ),

  bad(
    'no action',
    'rejects',
    policyText({ actions: 'actions: ‸{}\n', context: '', limits: '', rules: '' }),
    '`actions` is empty',
  ),
  bad(
    'actions as a list',
    'rejects',
    policyText({ actions: 'actions: ‸[a]\n', context: '', limits: '', rules: '' }),
    '`actions` must be a mapping',
  ),
  bad(
    'an action name with a space',
    'rejects',
    actions('‸list flag: { undo: reversible }'),
    '`list flag` cannot be the name of an action',
  ),
  bad('an action without undo', 'rejects', actions('a: ‸{ stateless: true }'), '`a` needs `undo`'),
  bad('an unknown undo class', 'rejects', actions('a: { undo: ‸reversable }'), '`undo` cannot be `reversable`'),
  bad(
    'a threshold above 1',
    'rejects',
    actions('a: { undo: reversible, confidence: { execute: ‸80 } }'),
    '`execute` cannot be 80',
  ),
  bad(
    'a negative threshold',
    'rejects',
    actions('a: { undo: reversible, confidence: { reject: ‸-0.1 } }'),
    '`reject` cannot be -0.1',
  ),
  bad(
    'reject above execute',
    'accepts',
    actions('a: { undo: reversible, confidence: { execute: 0.3, reject: ‸0.4 } }'),
    '`reject` 0.4 is above `execute` 0.3',
  ),
  bad(
    'execute and certified',
    'rejects',
    actions('a: { undo: reversible, confidence: { execute: 0.9, certified: ‸{ risk: 0.1, assurance: 0.9 } } }'),
    '`execute` and `certified` exclude each other',
  ),
  bad(
    'an irreversible action on a threshold',
    'rejects',
    actions('a: { undo: irreversible, confidence: ‸{ execute: 0.99 } }'),
    'an irreversible action cannot be executed on a threshold alone',
  ),
  bad(
    'an irreversible stateless action',
    'rejects',
    actions('a: { undo: irreversible, stateless: ‸true }'),
    'an irreversible action cannot be `stateless`',
  ),
  bad(
    'a risk of 0',
    'rejects',
    actions('a: { undo: reversible, confidence: { certified: { risk: ‸0, assurance: 0.9 } } }'),
    '`risk` cannot be 0',
  ),
  bad(
    'an assurance of 1',
    'rejects',
    actions('a: { undo: reversible, confidence: { certified: { risk: 0.1, assurance: ‸1 } } }'),
    '`assurance` cannot be 1',
  ),
  bad(
    'a capacity without a time',
    'rejects',
    actions('a: { undo: reversible, reviewCapacity: ‸50 }'),
    '`reviewCapacity` must be a text',
  ),
  bad(
    'a capacity of nothing',
    'rejects',
    actions('a: { undo: reversible, reviewCapacity: ‸0/h }'),
    '`0/h` cannot be `reviewCapacity`',
  ),
  bad(
    'a capacity over a year',
    'accepts',
    actions('a: { undo: reversible, reviewCapacity: ‸50/365d }'),
    'reviews cannot be counted over `365d`',
  ),
  bad(
    'costs without a calibrated score',
    'rejects',
    actions(
      'a: { undo: reversible, confidence: { execute: 0.9 }, ‸costs: { wrongExecution: 1, wrongReject: 1, review: 1 } }',
    ),
    '`costs` are weighed by how often a score is right, which only a calibrated score says',
  ),
  bad(
    'a cost below 0',
    'rejects',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: { wrongExecution: ‸-1, wrongReject: 1, review: 1 } }',
    ),
    '`wrongExecution` cannot be -1',
  ),
  bad(
    'a wrong rejection that costs nothing',
    'rejects',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: { wrongExecution: 1, wrongReject: ‸0, review: 1 } }',
    ),
    '`wrongReject` cannot be 0',
  ),
  bad(
    'no price for a look',
    'rejects',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: ‸{ wrongExecution: 1, wrongReject: 1 } }',
    ),
    '`costs` needs `review`',
  ),
  bad(
    'a cost that is a condition',
    'accepts',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: { wrongExecution: "‸event.tenant == \'a\'", wrongReject: 1, review: 1 } }',
    ),
    'this is of type bool, not a number',
  ),
  bad(
    'a cost over what is known, not over the event',
    'accepts',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: { wrongExecution: ‸counters.burst * 2, wrongReject: 1, review: 1 } }',
    ),
    '`counters` is not known here',
  ),
  bad(
    'a cost of what the event does not have',
    'accepts',
    actions(
      'a: { undo: reversible, confidence: { calibrated: required }, costs: { wrongExecution: 2.0 * event.‸amount, wrongReject: 1, review: 1 } }',
    ),
    '`event` has no `amount`',
  ),
  bad(
    'a segment that is no value of the event',
    'rejects',
    actions('a: { undo: reversible, confidence: { certified: { risk: 0.1, assurance: 0.9, segment: ‸category } } }'),
    '`category` is not a value of the event',
  ),
  bad(
    'a budget that is none',
    'rejects',
    actions('a: { undo: reversible, confidence: { certified: { risk: 0.1, assurance: 0.9, budget: ‸per-day } } }'),
    '`budget` cannot be `per-day`',
  ),
  bad(
    'no assurance',
    'rejects',
    actions('a: { undo: reversible, confidence: { certified: ‸{ risk: 0.1 } } }'),
    '`certified` needs `assurance`',
  ),
  bad(
    'yes for true',
    'rejects',
    actions('a: { undo: reversible, stateless: ‸yes }'),
    '`stateless` must be true or false',
  ),

  bad('limits as a mapping', 'rejects', policyText({ limits: 'limits: ‸{ a: 1 }\n' }), '`limits` must be a list'),
  bad(
    'a limit without per',
    'rejects',
    limits('‸{ id: l, count: proposals, max: 1, window: 1m, over: review }'),
    'an entry of `limits` needs `per`',
  ),
  bad(
    'an unknown way to count',
    'rejects',
    limits('{ id: l, count: ‸events, per: [], max: 1, window: 1m, over: review }'),
    '`count` cannot be `events`',
  ),
  bad(
    'a limit of 0',
    'rejects',
    limits('{ id: l, count: proposals, per: [], max: ‸0, window: 1m, over: review }'),
    '`max` cannot be 0',
  ),
  bad(
    'a limit that executes',
    'rejects',
    limits('{ id: l, count: proposals, per: [], max: 1, window: 1m, over: ‸execute }'),
    '`over` cannot be `execute`',
  ),
  bad(
    'an unknown dimension',
    'rejects',
    limits('{ id: l, count: proposals, per: [tenant, ‸subject.ownr], max: 1, window: 1m, over: review }'),
    '`subject.ownr` is not a value of the event',
  ),
  bad(
    'a dimension given twice',
    'accepts',
    limits('{ id: l, count: proposals, per: [tenant, ‸event.tenant], max: 1, window: 1m, over: review }'),
    '`tenant` is named twice',
  ),
  bad(
    'a limit for an unknown action',
    'accepts',
    limits(`{ ${LIMIT}, actions: [‸listing.flg] }`),
    'there is no action `listing.flg`',
  ),
  bad('a limit for no action', 'rejects', limits(`{ ${LIMIT}, actions: ‸[] }`), '`actions` has 0 entries'),
  bad(
    'a limit for one action twice',
    'rejects',
    limits(`{ ${LIMIT}, actions: [refund.issue, ‸refund.issue] }`),
    '`refund.issue` is named twice',
  ),
  bad(
    'two limits with one id',
    'accepts',
    limits(`{ ${LIMIT} }\n  - { ‸${LIMIT} }`.replace('{ ‸id: l', '{ id: ‸l')),
    'the id `l` is used twice',
  ),

  bad(
    'a context that is no identifier',
    'rejects',
    context(`‸the-seller: { ${NEED} }`),
    '`the-seller` cannot be a name',
  ),
  bad('a context named like a word of CEL', 'rejects', context(`‸in: { ${NEED} }`), '`in` cannot be a name'),
  bad('a context without key', 'rejects', context('seller: ‸{ maxAge: 1h, missing: review }'), '`seller` needs `key`'),
  bad(
    'a context with an unknown route',
    'rejects',
    context('seller: { key: actor, maxAge: 1h, missing: ‸ignore }'),
    '`missing` cannot be `ignore`',
  ),
  bad(
    'a field of an unknown type',
    'rejects',
    context(`seller: { ${NEED}, fields: { trusted: ‸boolean } }`),
    '`trusted` cannot be `boolean`',
  ),
  bad(
    'a stateless action with context',
    'accepts',
    policyText({
      actions: 'actions:\n  a: { undo: reversible, stateless: true }\n',
      context: `context:\n  ‸seller: { ${NEED} }\n`,
      limits: '',
      rules: '',
    }),
    'the context `seller` covers `a`, which is `stateless`',
  ),
  bad(
    'a stateless action with a limit',
    'accepts',
    policyText({
      actions: 'actions:\n  a: { undo: reversible, stateless: true }\n',
      context: '',
      limits: `limits:\n  - { ${LIMIT} }\n`.replace('id: l', 'id: ‸l'),
      rules: '',
    }),
    'the limit `l` covers `a`, which is `stateless`',
  ),

  bad(
    'a rule that executes',
    'rejects',
    rules('{ id: r, when: "now == now", route: ‸execute, code: policy.r, because: why }'),
    'a rule can make a route stricter only, so `execute` would change nothing',
  ),
  bad(
    'a rule with a code of the engine',
    'rejects',
    rules('{ id: r, when: "now == now", route: review, code: ‸limit.exceeded, because: why }'),
    '`limit.exceeded` is not a code of the `policy.` family',
  ),
  bad(
    'a rule without a reason',
    'rejects',
    rules('{ id: r, when: "now == now", route: review, code: policy.r, because: ‸" " }'),
    '`because` is empty',
  ),
  bad(
    'a rule without a condition',
    'rejects',
    rules('‸{ id: r, route: review, code: policy.r, because: why }'),
    'an entry of `rules` needs `when`',
  ),
  bad(
    'a condition that is no text',
    'rejects',
    rules('{ id: r, when: ‸true, route: review, code: policy.r, because: why }'),
    '`when` must be a text',
  ),
  bad(
    'a condition that YAML takes for a tag',
    'syntax',
    rules('id: r\n    when: ‸!event.x'),
    'this is not valid YAML: unresolved tag: !event.x',
  ),
  bad(
    'a rule with the id of a limit',
    'accepts',
    rules(`{ ${RULE} }`.replace('id: r', 'id: ‸burst')),
    'the id `burst` is used twice',
  ),
  bad(
    'a rule for an unknown action',
    'accepts',
    rules(`{ ${RULE}, actions: [‸refund] }`),
    'there is no action `refund`',
  ),
  bad(
    'a rule that reads a context its actions do not have',
    'accepts',
    policyText({
      context: `context:\n  seller: { ${NEED}, actions: [listing.flag] }\n`,
      rules: ruleText('context.seller.trusted == true').replace('id: r', 'id: ‸r'),
    }),
    'the rule `r` covers `listing.remove`, for which `seller` is not read',
  ),
  bad(
    'a rule that reads a counter its actions do not have',
    'accepts',
    policyText({
      limits: `limits:\n  - { ${LIMIT}, actions: [listing.flag] }\n`,
      rules: ruleText('counters.l > 1').replace('id: r', 'id: ‸r'),
    }),
    'the rule `r` covers `listing.remove`, for which `l` is not read',
  ),
]
