import { describe, expect, it } from 'vitest'
import { CODES } from '../../src/decision/codes.ts'
import { decide, wouldExecute } from '../../src/decision/decide.ts'
import { decisionTable } from './decision-table.ts'
import { SITUATIONS, inputs } from './situations.ts'

const ROWS = decisionTable(`
  action          score      given                              route    because
  listing.flag    0.95       -                                  execute  confidence.sufficient
  refund          0.95       -                                  execute  confidence.sufficient
  cache.refresh   0.95       -                                  execute  confidence.sufficient

  listing.flag    0.95       kill                               reject   control.killed,confidence.sufficient
  listing.flag    0.95       kill-review                        review   control.killed,confidence.sufficient
  listing.flag    0.95       kill-execute                       reject   control.killed,confidence.sufficient
  listing.flag    0.95       kill-forever                       reject   control.killed,confidence.sufficient
  listing.flag    0.95       kill-over                          execute  confidence.sufficient
  listing.flag    0.95       force-review                       review   control.forced,confidence.sufficient
  listing.flag    0.95       force-reject                       reject   control.forced,confidence.sufficient
  listing.flag    0.95       force-execute                      execute  confidence.sufficient
  listing.flag    0.95       withdraw-other                     execute  confidence.sufficient
  listing.flag    0.50       force-execute                      review   confidence.below_execute
  listing.flag    0.95       trusted,exempt-trusted             execute  control.exempted,confidence.sufficient
  listing.flag    0.95       exempt-trusted                     execute  confidence.sufficient
  listing.flag    0.95       trusted,exempt-burst               review   policy.trusted_seller,confidence.sufficient
  listing.flag    0.95       trusted,exempt-no-author           review   policy.trusted_seller,confidence.sufficient
  listing.flag    0.95       trusted,exempt-for-ever            review   policy.trusted_seller,confidence.sufficient
  listing.flag    0.95       trusted,exempt-over                review   policy.trusted_seller,confidence.sufficient
  listing.flag    0.95       burst,exempt-burst                 execute  control.exempted,confidence.sufficient
  listing.flag    0.95       watch,burst,exempt-burst           execute  control.exempted,policy.watch,confidence.sufficient
  listing.flag    0.95       uncounted,exempt-burst             review   limit.unobserved,confidence.sufficient
  listing.flag    0.95       broken,exempt-broken               review   rule.failed,confidence.sufficient
  listing.flag    0.95       no-context,exempt-seller           review   context.missing,confidence.sufficient
  listing.flag    0.50       trusted,exempt-trusted             review   confidence.below_execute,control.exempted
  refund          0.95       refunds-full-held,exempt-refunds   execute  control.exempted,confidence.sufficient
  refund          0.95       refunds-full,exempt-refunds        review   limit.unobserved,control.exempted,confidence.sufficient

  listing.flag    0.95       expires-soon                       execute  confidence.sufficient
  listing.flag    0.95       expires-now                        reject   event.expired,confidence.sufficient
  listing.flag    0.95       expires-nan                        reject   event.expired,confidence.sufficient
  listing.flag    0.95       expires-never                      reject   event.expired,confidence.sufficient
  listing.flag    0.95       day-old                            execute  confidence.sufficient
  listing.flag    0.95       older                              reject   event.too_old,confidence.sufficient
  listing.flag    0.95       older,any-age                      execute  confidence.sufficient
  listing.flag    0.95       ahead                              execute  confidence.sufficient
  listing.flag    0.95       further-ahead                      review   event.time_in_future,confidence.sufficient
  listing.flag    0.95       time-nan                           reject   event.too_old,event.time_in_future,confidence.sufficient
  listing.flag    0.95       time-nan,any-age                   review   event.time_in_future,confidence.sufficient
  listing.flag    0.95       time-huge,any-age                  review   event.time_in_future,confidence.sufficient
  cache.refresh   0.95       now-infinite,any-age               review   event.time_in_future,confidence.sufficient
  listing.flag    0.95       repeat                             reject   event.duplicate,confidence.sufficient
  listing.flag    0.95       replay                             review   event.replayed,confidence.sufficient
  listing.flag    0.95       conflict                           review   event.conflict,confidence.sufficient
  listing.flag    0.95       unkeyed                            review   event.unkeyed,confidence.sufficient
  listing.flag    0.95       no-id                              review   event.incomplete,confidence.sufficient
  listing.flag    0.95       no-model                           review   event.incomplete,confidence.sufficient

  listing.burn    0.95       -                                  reject   action.unknown
  constructor     0.95       -                                  reject   action.unknown
  __proto__       0.95       -                                  reject   action.unknown
  listing.burn    NaN        repeat                             reject   event.duplicate,action.unknown,confidence.invalid

  listing.flag    0.95       away,no-context                  review   state.unavailable,confidence.sufficient
  listing.flag    0.95       away,no-context,missing-rejects  review   state.unavailable,confidence.sufficient
  listing.flag    0.95       away,no-context,missing-passes   review   state.unavailable,confidence.sufficient
  listing.flag    0.95       away,no-seller,missing-rejects     reject   context.missing,state.unavailable,confidence.sufficient
  listing.flag    0.95       away,no-facts                      review   state.unavailable,confidence.sufficient
  listing.flag    0.10       away,no-context                  reject   confidence.below_reject,state.unavailable,confidence.below_execute
  refund          0.95       away                               review   state.unavailable,confidence.sufficient
  cache.refresh   0.95       away                               execute  confidence.sufficient
  cache.refresh   0.95       away,irreversible                  review   state.unavailable,calibration.uncertified,confidence.sufficient
  cache.refresh   0.95       away,undeclared                    review   rule.failed,confidence.sufficient
  cache.refresh   0.95       away,second-limit                  review   state.unavailable,confidence.sufficient
  listing.flag    0.95       lost                               review   state.lost,confidence.sufficient
  cache.refresh   0.95       lost                               execute  confidence.sufficient
  cache.refresh   0.95       lost,second-limit                  review   state.lost,confidence.sufficient
  refund          0.95       lost,uncounted                     review   state.lost,limit.unobserved,limit.unobserved,confidence.sufficient

  listing.flag    0.95       no-context                         review   context.missing,confidence.sufficient
  listing.flag    0.95       no-facts                           review   context.missing,confidence.sufficient
  listing.flag    0.95       no-seller                          review   context.missing,confidence.sufficient
  listing.flag    0.95       no-context,missing-rejects         reject   context.missing,confidence.sufficient
  listing.flag    0.95       no-context,missing-passes          review   rule.failed,context.missing,confidence.sufficient
  listing.flag    0.95       no-context,missing-passes,no-rules  execute  context.missing,confidence.sufficient
  listing.flag    0.95       hour-old                           execute  confidence.sufficient
  listing.flag    0.95       stale                              review   context.stale,confidence.sufficient
  listing.flag    0.95       stale-nan                          review   context.stale,confidence.sufficient
  listing.flag    0.95       stale-ahead                        review   context.stale,confidence.sufficient
  listing.flag    0.95       stale,stale-rejects                reject   context.stale,confidence.sufficient
  listing.flag    0.95       stale,stale-passes                 execute  context.stale,confidence.sufficient

  listing.flag    0.95       trusted                            review   policy.trusted_seller,confidence.sufficient
  listing.flag    0.95       trusted,stale,stale-passes         review   policy.trusted_seller,context.stale,confidence.sufficient
  listing.flag    0.95       broken                             review   rule.failed,confidence.sufficient
  listing.flag    0.95       undeclared                         review   rule.failed,confidence.sufficient
  listing.flag    0.95       watch                              execute  policy.watch,confidence.sufficient
  listing.flag    0.10       watch                              reject   confidence.below_reject,confidence.below_execute,policy.watch
  listing.flag    0.95       about-refunds                      execute  confidence.sufficient
  listing.flag    0.95       look,broken,ban                    reject   policy.ban,policy.look,rule.failed,confidence.sufficient

  listing.flag    0.95       burst-last                         execute  confidence.sufficient
  listing.flag    0.95       burst                              review   limit.exceeded,confidence.sufficient
  listing.flag    0.95       burst,burst-rejects                reject   limit.exceeded,confidence.sufficient
  listing.flag    0.95       burst-nan                          review   limit.exceeded,confidence.sufficient
  listing.flag    0.95       uncounted                          review   limit.unobserved,confidence.sufficient
  cache.refresh   0.95       burst                              execute  confidence.sufficient
  refund          0.95       refunds-last                       execute  confidence.sufficient
  refund          0.95       refunds-full                       review   limit.exceeded,confidence.sufficient
  refund          0.95       refunds-full-held                  review   limit.exceeded,confidence.sufficient
  refund          0.95       unasked                            review   limit.unobserved,confidence.sufficient
  refund          0.95       refused                            review   limit.unobserved,confidence.sufficient
  refund          0.50       unasked                            review   confidence.below_execute
  refund          0.10       burst,refunds-full                 reject   confidence.below_reject,limit.exceeded,limit.exceeded,confidence.below_execute

  listing.flag    0.95       table                              execute  confidence.sufficient
  listing.flag    0.85       table                              review   confidence.below_execute
  listing.flag    0.30       table                              reject   confidence.below_reject,confidence.below_execute
  listing.flag    0.95       table-lasting                      execute  confidence.sufficient
  listing.flag    0.95       table-lapsed                       review   calibration.expired,confidence.sufficient
  listing.flag    0.95       table-action                       execute  confidence.sufficient
  listing.flag    0.95       table-other                        review   calibration.version_mismatch
  listing.flag    0.85       table-foreign                      execute  confidence.sufficient
  listing.flag    0.85       table-verbal                       execute  confidence.sufficient
  listing.flag    0.95       required-flag                      review   calibration.missing
  listing.flag    0.95       required-flag,table                execute  confidence.sufficient
  listing.flag    0.95       required-flag,table-foreign        review   calibration.missing
  listing.flag    NaN        required-flag                      review   calibration.missing,confidence.invalid
  listing.flag    0.95       certified-flag                     review   calibration.uncertified
  listing.flag    0.10       certified-flag                     reject   confidence.below_reject,calibration.uncertified
  listing.remove  0.95       table                              review   calibration.uncertified
  listing.remove  0.95       -                                  review   calibration.missing,calibration.uncertified
  listing.remove  0.95       static-remove                      review   calibration.uncertified,confidence.sufficient
  listing.remove  0.95       both-remove                        review   calibration.uncertified
  listing.remove  0.50       static-remove                      review   calibration.uncertified,confidence.below_execute

  listing.remove  0.95       table,cert                         execute  confidence.sufficient
  listing.remove  0.90       table,cert                         execute  confidence.sufficient
  listing.remove  0.89       table,cert                         review   confidence.below_execute
  listing.remove  0.40       table,cert                         reject   confidence.below_reject,confidence.below_execute
  listing.remove  0.40       table,cert-loose                   reject   confidence.below_reject,confidence.sufficient
  listing.remove  NaN        table,cert-loose                   review   confidence.invalid
  listing.remove  -          table,cert-loose                   review   confidence.missing
  listing.remove  0.95       cert                               review   calibration.missing
  listing.remove  0.95       table-lapsed,cert                  review   calibration.expired,confidence.sufficient
  listing.remove  0.95       table,cert-lasting                 execute  confidence.sufficient
  listing.remove  0.95       table,cert-lapsed                  review   calibration.certificate_expired,confidence.sufficient
  listing.remove  0.89       table,cert-lapsed                  review   calibration.certificate_expired,confidence.below_execute
  listing.remove  0.95       table,cert,now-infinite            reject   event.too_old,event.time_in_future,context.stale,calibration.certificate_expired,confidence.sufficient
  listing.remove  0.95       table,cert-weak                    review   calibration.certificate_too_weak
  listing.remove  0.95       table,cert-unsure                  review   calibration.certificate_too_weak
  listing.remove  0.95       table,cert-stronger                execute  confidence.sufficient
  listing.remove  0.95       table,cert-events                  review   calibration.certificate_too_weak
  listing.remove  0.95       table,cert-events,per-event        execute  confidence.sufficient
  listing.remove  0.95       table,cert,per-event               execute  confidence.sufficient
  listing.remove  0.95       table,cert-other-action            review   calibration.uncertified
  listing.remove  0.95       table,cert-other-model             review   calibration.uncertified
  listing.remove  0.95       table,cert-verbal                  review   calibration.uncertified
  listing.remove  0.95       table,cert-other-version           review   calibration.version_mismatch
  listing.remove  0.95       table,cert-weak-and-version        review   calibration.certificate_too_weak
  listing.remove  0.95       table,cert-seller                  review   calibration.segment_uncertified
  listing.remove  0.95       table,cert,per-seller              review   calibration.segment_uncertified
  listing.remove  0.95       table,cert-other-seller,per-seller  review   calibration.segment_uncertified
  listing.remove  0.95       table,cert-seller,per-seller       execute  confidence.sufficient
  listing.remove  0.95       table,cert-seller,per-seller,no-seller  review  context.missing,calibration.segment_missing
  listing.remove  0.95       table,per-seller                   review   calibration.uncertified
  listing.remove  0.75       table,cert-two                     execute  confidence.sufficient
  listing.remove  0.75       table,cert-two-lapsed              review   confidence.below_execute
  listing.remove  0.95       table,cert-two-lapsed              execute  confidence.sufficient
  listing.remove  0.95       table,cert,withdrawn               review   calibration.withdrawn,confidence.sufficient
  listing.remove  0.89       table,cert,withdrawn               review   calibration.withdrawn,confidence.below_execute
  listing.remove  0.95       table,cert,withdrawn-over          execute  confidence.sufficient
  listing.remove  0.95       table,cert,withdraw-other          execute  confidence.sufficient
  listing.remove  0.95       table,cert-lapsed,withdrawn        review   calibration.certificate_expired,confidence.sufficient
  listing.remove  0.95       table,cert-two,withdrawn-loose     execute  confidence.sufficient
  listing.remove  0.75       table,cert-two,withdrawn-loose     review   confidence.below_execute
  listing.remove  0.75       table,cert-two,withdrawn-strict    execute  confidence.sufficient
  listing.remove  0.75       table,cert-two,withdrawn-loose,withdrawn-strict  review  calibration.withdrawn,confidence.sufficient
  listing.remove  0.75       table,cert-two-lapsed,withdrawn-strict  review  calibration.withdrawn,confidence.below_execute
  listing.remove  0.95       table,cert,withdrawn,trusted       review   policy.trusted_seller,calibration.withdrawn,confidence.sufficient
  listing.remove  0.95       table,cert,withdrawn,kill          reject   control.killed,calibration.withdrawn,confidence.sufficient
  listing.flag    0.95       cert,withdrawn                     execute  confidence.sufficient
  listing.remove  0.95       static-remove,cert                 review   calibration.uncertified,confidence.sufficient
  cache.refresh   0.95       irreversible,cert                  review   calibration.uncertified,confidence.sufficient

  listing.flag    0.98       costs                              execute  confidence.sufficient
  listing.flag    0.97       costs                              review   confidence.below_execute
  listing.flag    0.27       costs                              review   confidence.below_execute
  listing.flag    0.26       costs                              reject   confidence.below_reject,confidence.below_execute
  listing.flag    0.80       costs-cheap                        execute  confidence.sufficient
  listing.flag    0.79       costs-cheap                        review   confidence.below_execute
  listing.flag    0.80       costs-none                         execute  confidence.sufficient
  listing.flag    1          costs-huge                         execute  confidence.sufficient
  listing.flag    0.999      costs-huge                         review   confidence.below_execute
  listing.flag    1          costs-nan                          review   confidence.cost_unknown
  listing.flag    0.10       costs-nan                          reject   confidence.below_reject,confidence.cost_unknown
  listing.flag    1          costs-negative                     review   confidence.cost_unknown
  listing.flag    1          costs-infinite                     review   confidence.cost_unknown
  listing.flag    1          costs-failing                      review   confidence.cost_unknown
  listing.flag    NaN        costs-failing                      review   confidence.invalid
  listing.flag    0.79       costs-dear-review                  reject   confidence.below_reject,confidence.below_execute
  listing.flag    0.80       costs-dear-review                  execute  confidence.sufficient
  listing.flag    0.97       costs-by-price                     execute  confidence.sufficient
  listing.flag    0.96       costs-by-price                     review   confidence.below_execute
  listing.flag    0.80       costs-by-price,cheap               execute  confidence.sufficient
  listing.flag    0.99       never-flag,costs                   review   confidence.below_execute
  listing.remove  0.99       table,cert,costs                   execute  confidence.sufficient
  listing.remove  0.95       table,cert,costs                   review   confidence.below_execute
  listing.remove  0.89       table,cert,costs-none              review   confidence.below_execute
  listing.remove  0.99       table,costs                        review   calibration.uncertified
  listing.remove  0.99       table,cert,withdrawn,costs         review   calibration.withdrawn,confidence.sufficient
  listing.remove  0.60       table,costs-dear-review            reject   confidence.below_reject,calibration.uncertified
  listing.remove  0.95       table,cert,withdrawn,costs-dear-review  review  calibration.withdrawn,confidence.sufficient

  listing.flag    0.50       desk                               review   confidence.below_execute
  listing.flag    0.50       desk,desk-busy                     review   confidence.below_execute
  listing.flag    0.50       desk,desk-full                     review   limit.review_capacity,confidence.below_execute
  listing.flag    0.50       desk,desk-fuller                   review   limit.review_capacity,confidence.below_execute
  listing.flag    0.50       desk,desk-unasked                  review   confidence.below_execute
  listing.flag    0.95       desk,desk-fuller                   execute  confidence.sufficient
  listing.flag    0.10       desk,desk-fuller                   reject   confidence.below_reject,confidence.below_execute
  listing.flag    0.50       desk,costs,desk-full               review   limit.review_capacity,confidence.below_execute
  listing.flag    0.50       desk,costs,desk-fuller             reject   limit.review_price,confidence.below_execute
  listing.flag    0.90       desk,costs,desk-fuller             review   limit.review_capacity,confidence.below_execute
  listing.flag    0.98       desk,costs,desk-fuller             execute  confidence.sufficient
  listing.flag    0.50       desk,costs,desk-nan                review   limit.review_capacity,confidence.below_execute
  listing.flag    0.50       desk,costs,desk-fuller,trusted     review   policy.trusted_seller,limit.review_capacity,confidence.below_execute
  listing.flag    0.50       desk,costs,desk-fuller,force-review  review  control.forced,limit.review_capacity,confidence.below_execute
  listing.flag    NaN        desk,costs,desk-fuller             review   limit.review_capacity,confidence.invalid
  listing.flag    0.50       desk,costs,desk-fuller,kill        reject   control.killed,confidence.below_execute
  listing.remove  0.95       table,cert,withdrawn,costs,desk,desk-fuller  review  limit.review_capacity,calibration.withdrawn,confidence.below_execute
  listing.flag    0.50       desk,away                          review   state.unavailable,confidence.below_execute

  listing.flag    -          -                                  review   confidence.missing
  listing.flag    NaN        -                                  review   confidence.invalid
  listing.flag    Infinity   -                                  review   confidence.invalid
  listing.flag    -Infinity  -                                  review   confidence.invalid
  listing.flag    1.01       -                                  review   confidence.out_of_range
  listing.flag    -0.01      -                                  review   confidence.out_of_range
  listing.flag    1          -                                  execute  confidence.sufficient
  listing.flag    0.80       -                                  execute  confidence.sufficient
  listing.flag    0.79       -                                  review   confidence.below_execute
  listing.flag    0.20       -                                  review   confidence.below_execute
  listing.flag    0.19       -                                  reject   confidence.below_reject,confidence.below_execute
  listing.flag    0          -                                  reject   confidence.below_reject,confidence.below_execute
  listing.flag    0          zero-flag                          execute  confidence.sufficient
  listing.flag    -0         zero-flag                          execute  confidence.sufficient
  listing.flag    1          never-flag                         review   confidence.below_execute
  listing.flag    0.95       audited                            execute  confidence.sufficient,audit.selected
  listing.flag    0.50       audited                            review   confidence.below_execute

  listing.flag    NaN        kill,repeat,trusted,burst,unkeyed  reject   control.killed,event.duplicate,event.unkeyed,policy.trusted_seller,limit.exceeded,confidence.invalid
`)

describe('decide', () => {
  it.each(ROWS)('$line', (row) => {
    const verdict = decide(...inputs(row))
    expect(verdict.findings.map(({ code }) => code)).toEqual(row.because)
    expect(verdict.route).toBe(row.route)
    expect(verdict.code).toBe(row.because[0])
  })

  it.each(ROWS)('wouldExecute agrees but for reservations: $line', (row) => {
    const [received, facts, ...rulebook] = inputs(row)
    const reserved = { ...facts, counters: facts.counters.map((it) => ({ ...it, granted: true })) }
    const verdict = decide(received, reserved, ...rulebook)
    expect(wouldExecute(received, facts, ...rulebook)).toBe(verdict.route === 'execute')
  })

  it('has a row for every code, and no situation that no row uses', () => {
    const produced = new Set(ROWS.flatMap((row) => decide(...inputs(row)).findings.map(({ code }) => code as string)))
    expect(Object.keys(CODES).filter((code) => !produced.has(code))).toEqual([])
    const used = new Set(ROWS.flatMap(({ given }) => given))
    expect(Object.keys(SITUATIONS).filter((name) => !used.has(name))).toEqual([])
  })

  it('gives every finding a sentence with what it is about', () => {
    for (const row of ROWS) for (const { detail } of decide(...inputs(row)).findings) expect(detail).toMatch(/\w+ \w+/)
  })
})
