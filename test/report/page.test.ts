import { describe, expect, test } from 'vitest'
import { html } from '../../src/report/markup.ts'
import { pageOf } from '../../src/report/page.ts'
import { reportOf } from '../../src/report/report-of.ts'
import type { Report, ReportInput } from '../../src/report/report.ts'
import { riskChart } from '../../src/report/risk-chart.ts'
import { linearScale, powerScale, roundStep } from '../../src/report/scale.ts'
import { count, figure, share } from '../../src/report/words.ts'
import { certifiedInput, fullInput } from './reported.ts'

function reported(input: ReportInput): Report {
  const report = reportOf(input)
  if (typeof report === 'string') throw new Error(report)
  return report
}

const full = reported(fullInput())
const page = pageOf(full)

/** The elements in their order, or why the text is not well-formed: every tag is closed, every attribute quoted once. */
function elementsOf(text: string): readonly string[] {
  const names: string[] = []
  const open: string[] = []
  for (const [tag, closing, name = '', attributes = '', own] of text.matchAll(
    /<(\/?)([a-zA-Z][\w]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
  )) {
    const keys = [...attributes.matchAll(/([\w:-]+)="/g)].map(([, key]) => key)
    if (new Set(keys).size !== keys.length) throw new Error(`an attribute twice in ${tag}`)
    if (closing === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> closes something else`)
    } else {
      names.push(name)
      if (own !== '/') open.push(name)
    }
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join()}`)
  return names
}

describe('the page', () => {
  test.each([
    ['with everything', fullInput()],
    ['with as little as there can be', certifiedInput()],
    ['of one segment', certifiedInput({ segment: 'arc' })],
  ])('is well-formed, %s', (_, input) => {
    const text = pageOf(reported(input))
    expect(text.startsWith('<!doctype html>\n')).toBe(true)
    const body = text.replace(/^<!doctype html>/, '').replace(/<style>[^<]*<\/style>/, '')
    const elements = elementsOf(body)
    // What is left when all tags are gone has no bracket, so no tag was overlooked.
    expect(body.replaceAll(/<\/?[a-zA-Z][\w]*(?:\s+[\w:-]+="[^"<]*")*\s*\/?>/g, '')).not.toMatch(/[<>]/)
    expect(body).not.toMatch(/NaN|undefined|Infinity|\[object/)
    const ids = [...body.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(elements.filter((name) => name === 'section').length).toBe(10)
    expect(elements).not.toContain('script')
  })

  test('needs nothing from anywhere else', () => {
    expect(page).not.toMatch(
      /\b(src|href|srcset|action|data|poster)\s*=|@import|https?:|\/\/|<(script|link|iframe|object|embed|img)/,
    )
    for (const [, address] of page.matchAll(/url\(([^)]*)\)/g)) expect(address).toMatch(/^#[\w-]+$/)
  })

  test('has every part that a report has', () => {
    const titles = [...page.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, title]) => title)
    expect(titles).toEqual([
      'The promise',
      'How far the scores can be believed',
      'Coverage and risk',
      'Every threshold that was tried',
      'Segments, worst first',
      'Verdicts and review load',
      'Audits of what was executed',
      'Data quality',
      'Costs of 1,000 events',
      'What the next 1,000 labels would buy',
    ])
  })

  test('says the promise and what it is bound to in the certificate’s own words and figures', () => {
    const plain = page.replaceAll('\u00A0', ' ')
    const { certificate: it } = full
    for (const text of [
      it.id,
      it.action,
      it.promise,
      it.issuedAt,
      it.expiresAt,
      it.grid.hash,
      it.dataDigest.labelled,
      it.dataDigest.unlabelled,
    ])
      expect(plain).toContain(text)
    expect(plain).toContain('0125 &lt;script&gt;')
    expect(plain).toContain(`<strong>${it.threshold}</strong>`)
    expect(plain).toContain(`<strong>${share(it.coverage)}</strong>`)
    expect(plain).toContain(`<strong>${share(it.upperBound)}</strong>`)
    expect(plain).toContain(`${it.labelledErrors} of 1,636 labels`)
  })

  test('has a row for every threshold, the failures among them', () => {
    const table = /<section id="thresholds">.*?<\/section>/s.exec(page)?.[0] ?? ''
    const rows = [...table.matchAll(/<tr class="([^"]*)">(.*?)<\/tr>/g)]
    expect(rows).toHaveLength(full.risk.points.length)
    for (const [index, { threshold, executed, errors, result }] of full.risk.points.entries()) {
      const cells = [...(rows[index]?.[2] ?? '').matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, text]) => text)
      expect([cells[0], cells[2], cells[3]]).toEqual([String(threshold), count(executed), count(errors)])
      expect(rows[index]?.[1]).toContain(result.replaceAll(' ', '-'))
    }
    expect(rows.filter(([, kind]) => kind?.includes('chosen'))).toHaveLength(1)
  })

  test('is the same, byte for byte, each time', () => {
    expect(pageOf(reported(fullInput()))).toBe(page)
  })
})

describe('a drawing', () => {
  test('has every threshold where its axes say', () => {
    const { markup } = riskChart(full.risk, 0.1, { width: 760, height: 400 }, 'x', 'wrong')
    const ticks = [
      ...markup.matchAll(/<text\s+x="([\d.]+)"\s+y="([\d.]+)"\s+text-anchor="(\w+)"\s*>\s*([\d.]+).%\s*<\/text\s*>/g),
    ]
    const axis = (anchor: string, at: 1 | 2, shift: number) => {
      const [first, last] = [ticks.find((it) => it[3] === anchor), ticks.findLast((it) => it[3] === anchor)]
      const [a, b] = [Number(first?.[at]) - shift, Number(last?.[at]) - shift]
      const [from, to] = [Number(first?.[4]) / 100, Number(last?.[4]) / 100]
      return (place: number): number => from + ((place - a) / (b - a)) * (to - from)
    }
    const [coverageAt, shareAt] = [axis('middle', 1, 0), axis('end', 2, 4)]
    const dots = [...markup.matchAll(/<circle\s+class="dot-([\w-]+)"\s+cx="([\d.]+)"\s+cy="(-?[\d.]+)"/g)]
    expect(dots).toHaveLength(full.risk.points.length)
    for (const [index, point] of full.risk.points.entries()) {
      expect(dots[index]?.[1]).toBe(point.result.replaceAll(' ', '-'))
      expect(coverageAt(Number(dots[index]?.[2]))).toBeCloseTo(point.coverage, 3)
      expect(shareAt(Number(dots[index]?.[3]))).toBeCloseTo(point.share ?? NaN, 3)
    }
    const limit = /class="limit" d="M[\d.]+ ([\d.]+)H/.exec(markup)?.[1]
    expect(shareAt(Number(limit))).toBeCloseTo(0.1, 3)
  })

  test('has round ticks', () => {
    expect(linearScale(0, 1, 0, 100, 5).ticks).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
    expect(linearScale(0, 0.03, 0, 100, 6).ticks).toEqual([0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03])
    expect(linearScale(0.3, 1, 0, 100, 5).place(0.3)).toBe(0)
    expect(powerScale(0.1, 1e5, 100, 0)).toMatchObject({ ticks: [0.1, 1, 10, 100, 1_000, 10_000, 100_000] })
    expect(powerScale(0.1, 1e5, 60, 0).place(1e9)).toBe(0)
    expect(powerScale(0.1, 1e5, 60, 0).place(0)).toBe(60)
    expect([0.3, 2, 4.9, 7, 0.1].map(roundStep)).toEqual([0.5, 2, 5, 10, 0.1])
  })
})

test('markup escapes what is not markup', () => {
  const name = `<b a="1">&'`
  expect(html`<p title="${name}">${[name, html`<i>${2}</i>`]}</p>`.markup).toBe(
    '<p title="&lt;b a=&quot;1&quot;&gt;&amp;&#39;">&lt;b a=&quot;1&quot;&gt;&amp;&#39;<i>2</i></p>',
  )
})

test.each([
  [count(1_234_567.4), '1,234,567'],
  [count(999), '999'],
  [share(0.0312), '3.12 %'],
  [share(0.312), '31.2 %'],
  [share(0), '0 %'],
  [share(null), '–'],
  [share(NaN), '–'],
  [figure(0.012_34), '0.0123'],
  [figure(0.000_012_34), '1.2e-5'],
  [figure(0), '0'],
])('%s', (text, expected) => {
  expect(text).toBe(expected)
})
