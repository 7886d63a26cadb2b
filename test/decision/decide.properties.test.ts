import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CODES } from '../../src/decision/codes.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import type { Costs } from '../../src/decision/costs.ts'
import { decide, wouldExecute } from '../../src/decision/decide.ts'
import { explain } from '../../src/decision/explain.ts'
import type { Facts } from '../../src/decision/facts.ts'
import type { Policy } from '../../src/decision/policy.ts'
import { recompute } from '../../src/decision/recompute.ts'
import { strictness } from '../../src/decision/route.ts'
import { likelyInputs, wildInputs } from './arbitraries.ts'
import type { Inputs } from './arbitraries.ts'
import { sampleCosts, sampleDesk, sampleOrder, sampleRule } from './samples.ts'

const anyInputs = fc.oneof(likelyInputs, wildInputs)
const always = <T>(arbitrary: fc.Arbitrary<T>, law: (it: T) => void, numRuns = 1500) =>
  fc.assert(
    fc.property(arbitrary, (it) => {
      law(it)
    }),
    { numRuns },
  )
const routeOf = (inputs: Inputs) => decide(...inputs).route
const bytes = (value: unknown) =>
  JSON.stringify(value, (_, it: unknown) => (typeof it === 'number' && !Number.isFinite(it) ? `${it}` : it))

describe('every decision', () => {
  it('is made of its inputs alone: the same input gives the same bytes', () => {
    always(anyInputs, (inputs) => expect(bytes(decide(...inputs))).toBe(bytes(decide(...structuredCopy(inputs)))), 1000)
  })

  it('takes any event without an exception, and can be explained in 100 columns of plain text', () => {
    always(
      wildInputs,
      (inputs) => {
        const lines = explain(decide(...inputs)).split('\n')
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100)
        // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
        expect(lines.join('')).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/)
      },
      1000,
    )
  })

  it('goes by its strictest finding, and its findings are in order', () => {
    const families = [...new Set(Object.keys(CODES).map((code) => code.split('.')[0]))]
    const rank = (code: string) => families.indexOf(code.startsWith('policy.') ? 'rule' : code.split('.')[0])
    always(anyInputs, (inputs) => {
      const { route, code, findings } = decide(...inputs)
      const ranks = findings.map((it) => [-strictness(it.route), rank(it.code)] as const)
      expect(ranks).toEqual(ranks.toSorted(([a, b], [c, d]) => a - c || b - d))
      expect(findings[0]).toMatchObject({ route, code })
    })
  })

  it('recomputes to the equal verdict from its own record', () => {
    always(
      anyInputs,
      (inputs) => {
        const [, , policy, calibration, certificates] = inputs
        expect(recompute(structuredClone(decide(...inputs)), policy, calibration, certificates)).toEqual({
          equal: true,
          differences: [],
        })
      },
      1000,
    )
  })

  it('says what would have changed it, or that this cannot be told', () => {
    always(anyInputs, (inputs) => {
      const { route, changes, findings, score } = decide(...inputs)
      if (route === 'execute') return expect(changes).toBeNull()
      if (changes === null)
        return expect(score.calibrated === null || score.execute === null || score.certified === null).toBe(true)
      expect(strictness(changes.route)).toBeLessThan(strictness(route))
      const rest = findings.filter(({ code }) => !changes.without.includes(code))
      expect(rest.every((it) => strictness(it.route) <= strictness(changes.route))).toBe(true)
    })
  })
})

describe('an execution', () => {
  const executed = (check: (verdict: ReturnType<typeof decide>, inputs: Inputs) => void, from = anyInputs) => {
    let seen = 0
    always(
      from,
      (inputs) => {
        const verdict = decide(...inputs)
        if (verdict.route !== 'execute') return
        seen++
        check(verdict, inputs)
      },
      3000,
    )
    expect(seen, 'executions among the samples').toBeGreaterThan(20)
  }

  it('has a sufficient score and nothing stricter', () => {
    executed(({ findings, score }) => {
      expect(findings.map(({ code }) => code)).toContain('confidence.sufficient')
      expect(findings.every(({ route }) => route === 'execute')).toBe(true)
      const edges = [
        [score.calibrated, score.execute],
        [score.raw, score.certified?.threshold ?? null],
      ].filter(([, edge]) => edge !== null)
      expect(edges.length).toBeGreaterThan(0)
      for (const [value, edge] of edges) expect(value).toBeGreaterThanOrEqual(edge ?? Number.NaN)
    })
  })

  it('of an irreversible action relies on a certificate', () => {
    executed(({ undo, score }) => {
      if (undo === 'irreversible') expect(score.certificate).not.toBeNull()
    })
  })

  it('on a certificate relies on a valid one for exactly this event that promises what is demanded', () => {
    executed(({ event, score, facts }, [, , policy, , { tree }]) => {
      const demand = policy.actions.get(event.action)?.confidence.certified ?? null
      if (demand === null) return expect(score.certificate).toBeNull()
      const valid = tree.certificates.filter(
        (it) =>
          it.action === event.action &&
          it.model.name === event.model.name &&
          it.model.version === event.model.version &&
          it.scoreKind === event.scoreKind &&
          it.segment === (demand.segment === null ? null : demand.segment.read(event)) &&
          it.risk <= demand.risk &&
          it.assurance >= demand.assurance &&
          it.expiresAt > facts.now &&
          !facts.control.some(
            (order) => order.certificate === it.id && (order.expiresAt === null || order.expiresAt > facts.now),
          ),
      )
      expect(valid.map(({ id }) => id)).toContain(score.certificate)
      expect(score.certified?.threshold).toBe(Math.min(...valid.map(({ threshold }) => threshold)))
    })
  })

  it('costs, by what is known, neither more than a look nor more than a rejection', () => {
    executed(({ score }) => {
      const p = score.calibrated ?? Number.NaN
      if (score.costs === null) return
      const { wrongExecution, wrongReject, review } = score.costs
      // Edges are rounded to twelve decimals.
      const loss = (1 - p) * wrongExecution - 1e-11 * wrongExecution
      expect(loss).toBeLessThanOrEqual(Math.min(review, p * wrongReject))
    })
  })

  it('is never unkeyed, repeated, or out of time', () => {
    executed(({ source, facts, event, notAfter }) => {
      expect(source.keyed).toBe(true)
      expect(facts.first).toBeNull()
      expect(event.expiresAt ?? Infinity).toBeGreaterThan(facts.now)
      expect(notAfter).toBeGreaterThan(facts.now)
      expect(notAfter).toBeLessThanOrEqual(event.expiresAt ?? Infinity)
    })
  })

  it('holds a place in every execution limit of its action', () => {
    executed(({ event, facts }, [, , policy]) => {
      for (const limit of policy.limits) {
        if (limit.count !== 'executions' || limit.actions?.has(event.action) === false) continue
        expect(facts.counters.find((it) => it.limit === limit.id)?.granted).toBe(true)
      }
    })
  })

  it('without trustworthy state is of a stateless action that no limit and no context covers', () => {
    const degraded = likelyInputs.map(([received, facts, ...rulebook]): Inputs => {
      const state = facts.state === 'ok' ? 'unavailable' : facts.state
      return [received, { ...facts, state }, ...rulebook]
    })
    executed(({ mode, event }, [, , policy]) => {
      expect(mode).toBe('degraded')
      expect(policy.actions.get(event.action)?.stateless).toBe(true)
      expect([...policy.limits, ...policy.context].filter(({ actions }) => actions?.has(event.action) ?? true)).toEqual(
        [],
      )
    }, degraded)
  })

  it('is what wouldExecute foretold', () => {
    executed((_, [received, facts, ...rulebook]) => {
      const unasked: Facts = { ...facts, counters: facts.counters.map((it) => ({ ...it, granted: null })) }
      expect(wouldExecute(received, unasked, ...rulebook)).toBe(true)
    })
  })
})

describe('a decision never becomes less strict', () => {
  const isNoLooser = (worse: Inputs, better: Inputs) =>
    expect(strictness(routeOf(worse))).toBeGreaterThanOrEqual(strictness(routeOf(better)))

  it('when confidence falls', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    const at = ([received, ...rest]: Inputs, confidence: number): Inputs => [
      { ...received, event: { ...received.event, confidence } },
      ...rest,
    ]
    always(
      fc.tuple(anyInputs, unit, unit),
      ([inputs, a, b]) => isNoLooser(at(inputs, Math.min(a, b)), at(inputs, Math.max(a, b))),
      3000,
    )
  })

  const withFacts =
    (change: (facts: Facts) => Partial<Facts>) =>
    ([received, facts, ...rest]: Inputs): Inputs => [received, { ...facts, ...change(facts) }, ...rest]
  const withPolicy =
    (change: (policy: Policy) => Partial<Policy>) =>
    ([received, facts, policy, ...rest]: Inputs): Inputs => [received, facts, { ...policy, ...change(policy) }, ...rest]

  it.each<[string, (inputs: Inputs) => Inputs]>([
    ['a kill switch is thrown', withFacts(({ control }) => ({ control: [...control, sampleOrder()] }))],
    [
      'a route is forced',
      withFacts(({ control }) => ({ control: [...control, sampleOrder({ kind: 'force', route: 'review' })] })),
    ],
    [
      'execution is "forced"',
      withFacts(({ control }) => ({ control: [...control, sampleOrder({ kind: 'force', route: 'execute' })] })),
    ],
    [
      'all certificates are withdrawn',
      ([received, { control, ...facts }, policy, calibration, certificates]) => [
        received,
        {
          ...facts,
          control: [
            ...control,
            ...certificates.tree.certificates.map(({ id }) =>
              sampleOrder({ kind: 'force', route: 'review', certificate: id, expiresAt: null }),
            ),
          ],
        },
        policy,
        calibration,
        certificates,
      ],
    ],
    ['mistakes and looks are weighed', withPolicy(({ actions }) => ({ actions: weighing(actions, sampleCosts()) }))],
    [
      'the cost of a wrong execution cannot be computed',
      withPolicy(({ actions }) => ({
        actions: weighing(actions, sampleCosts({ wrongExecution: () => ({ kind: 'failed', why: 'x' }) })),
      })),
    ],
    ['there are more reviews than the desk can do', full],
    ['there are no certificates', ([...inputs]) => [inputs[0], inputs[1], inputs[2], inputs[3], NO_CERTIFICATES]],
    ['an exemption ends', withFacts(({ control }) => ({ control: control.filter(({ kind }) => kind !== 'exempt') }))],
    [
      'it is a repeat',
      withFacts(() => ({ first: { decisionId: 'a:0:1', digest: '00112233445566778899aabbccddeeff' } })),
    ],
    [
      'counters rise',
      withFacts(({ counters }) => ({
        counters: counters.map((it) => ({ ...it, before: it.before + 5, after: it.after + 5 })),
      })),
    ],
    [
      'a place is refused',
      withFacts(({ counters }) => ({ counters: counters.map((it) => ({ ...it, granted: false })) })),
    ],
    [
      'the record has no key',
      ([received, ...rest]) => [{ ...received, source: { ...received.source, keyed: false } }, ...rest],
    ],
    [
      'the event has expired',
      ([received, facts, ...rest]) => [
        { ...received, event: { ...received.event, expiresAt: facts.now } },
        facts,
        ...rest,
      ],
    ],
    [
      'a rule is added',
      withPolicy(({ rules }) => ({
        rules: [...rules, sampleRule('new', { evaluate: () => ({ kind: 'value', holds: true }) })],
      })),
    ],
    [
      'a permissive rule is added',
      withPolicy(({ rules }) => ({
        rules: [...rules, sampleRule('new', { route: 'execute', evaluate: () => ({ kind: 'value', holds: true }) })],
      })),
    ],
    [
      'a failing rule is added',
      withPolicy(({ rules }) => ({
        rules: [...rules, sampleRule('new', { evaluate: () => ({ kind: 'failed', why: 'x' }) })],
      })),
    ],
  ])('when %s', (_, worsen) => {
    always(anyInputs, (inputs) => isNoLooser(worsen(inputs), inputs), 1500)
  })

  it('from execute, when state goes away or is lost and something needs it', () => {
    always(fc.tuple(likelyInputs, fc.constantFrom('unavailable' as const, 'lost' as const)), ([inputs, state]) => {
      const worse = withFacts(() => ({ state }))(inputs)
      const isExecuted = routeOf(worse) === 'execute'
      if (isExecuted) expect(routeOf(withFacts(() => ({ state: 'ok' }))(inputs))).toBe('execute')
    })
  })
})

const full = ([received, facts, policy, ...rest]: Inputs): Inputs => {
  const counter = { limit: 'review:*', key: 'k', before: 40, after: 40, granted: false }
  return [received, { ...facts, counters: [...facts.counters, counter] }, { ...policy, desks: [sampleDesk()] }, ...rest]
}

it('how many reviews there are makes nothing executed, and keeps nothing from being executed', () => {
  always(anyInputs, (inputs) => {
    const { route, findings } = decide(...full(inputs))
    expect(route === 'execute').toBe(routeOf(inputs) === 'execute')
    // What goes to review for want of a reserved place is decided after desks were asked.
    const isForDesk = routeOf(inputs) === 'review' && !wouldExecute(...inputs)
    if (isForDesk) expect(findings.some(({ code }) => code.startsWith('limit.review_'))).toBe(true)
    expect(recompute(structuredClone(decide(...full(inputs))), ...rulebookOf(full(inputs))).differences).toEqual([])
  })
})

const rulebookOf = ([, , policy, calibration, certificates]: Inputs) => [policy, calibration, certificates] as const

const weighing = (actions: Policy['actions'], costs: Costs): Policy['actions'] =>
  new Map([...actions].map(([name, rule]) => [name, rule.costs === null ? { ...rule, costs } : rule]))

it('a decision never becomes less strict when a wrong execution costs more', () => {
  const costing = ([received, facts, policy, ...rest]: Inputs, amount: number): Inputs => {
    const costs = sampleCosts({ wrongExecution: () => ({ kind: 'value', amount }) })
    const actions = new Map([...policy.actions].map(([name, rule]) => [name, { ...rule, costs }]))
    return [received, facts, { ...policy, actions }, ...rest]
  }
  const amount = fc.oneof(fc.constantFrom(0, 4, 15, 1e15), fc.double({ min: 0, max: 1000, noNaN: true }))
  always(
    fc.tuple(likelyInputs, amount, amount),
    ([inputs, a, b]) =>
      expect(strictness(routeOf(costing(inputs, Math.max(a, b))))).toBeGreaterThanOrEqual(
        strictness(routeOf(costing(inputs, Math.min(a, b)))),
      ),
    2000,
  )
})

/** The data copied, the policy's functions kept. */
const structuredCopy = ([received, facts, policy, calibration, certificates]: Inputs): Inputs => [
  structuredClone(received),
  structuredClone(facts),
  policy,
  structuredClone(calibration),
  structuredClone(certificates),
]
