import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTraceServer } from '../../deploy/local/traces/server.ts'
import type { TraceServer } from '../../deploy/local/traces/server.ts'
import { hasBrowser, openBrowser } from '../browser.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

type Attribute = { readonly key: string; readonly value: object }

const text = (key: string, value: string): Attribute => ({ key, value: { stringValue: value } })

/** [name, own id, parent's id, kind, start and end in milliseconds, attributes] */
type Row = readonly [string, string, string | null, number, number, number, readonly Attribute[]]

const service = (name: string, rows: readonly Row[]) => ({
  resource: { attributes: [text('service.name', name)] },
  scopeSpans: [{ spans: rows.map(spanOf) }],
})

const spanOf = ([name, spanId, parentSpanId, kind, start, end, attributes]: Row) => ({
  traceId: TRACE,
  spanId,
  ...(parentSpanId !== null && { parentSpanId }),
  name,
  kind,
  startTimeUnixNano: `${1_790_000_000_000 + start}000000`,
  endTimeUnixNano: `${1_790_000_000_000 + end}000000`,
  attributes,
})

const DECISION = [
  text('decision.id', 'model.outputs:3:1842'),
  text('decision.route', 'execute'),
  text('decision.code', 'confidence.sufficient'),
  { key: 'decision.codes', value: { arrayValue: { values: [{ stringValue: 'confidence.sufficient' }] } } },
]

const BODY = {
  resourceSpans: [
    service('shop', [['send model.outputs', '00000000000000a1', null, 4, 0, 3, []]]),
    service('sluice', [
      ['process model.outputs', '00000000000000a2', '00000000000000a1', 5, 4, 20, DECISION],
      ['enrich', '00000000000000a3', '00000000000000a2', 1, 4, 9, []],
      ['evaluate', '00000000000000a4', '00000000000000a2', 1, 9, 10, []],
      ['send decisions.execute', '00000000000000a5', '00000000000000a2', 4, 10, 20, []],
    ]),
    service('refunds', [['process decisions.execute', '00000000000000a6', '00000000000000a5', 5, 22, 30, []]]),
  ],
}

describe.runIf(hasBrowser)('the trace page in a browser', () => {
  let server: TraceServer
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    server = await openTraceServer({ host: '127.0.0.1', port: 0, maxTraces: 10 })
    const headers = { 'content-type': 'application/json' }
    await fetch(`${server.url}/v1/traces`, { method: 'POST', headers, body: JSON.stringify(BODY) })
    browser = await openBrowser()
    page = await browser.newPage()
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
    page.on('pageerror', (error) => complaints.push(error.message))
  })

  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  test('the list finds a decision by its id and leads to its trace', async () => {
    await page.goto(`${server.url}/?decisionId=model.outputs:3:1842`)
    const row = page.getByRole('row', { name: 'model.outputs:3:1842' })
    expect(await row.textContent()).toMatch(/execute.*confidence\.sufficient/s)
    await row.getByRole('link').first().click()
    expect(page.url()).toContain(`/trace/${TRACE}`)
    await page.goto(`${server.url}/?decisionId=model.outputs:9:9`)
    expect(await page.getByText('model.outputs:3:1842').count()).toBe(0)
  })

  test.each(['light', 'dark'] as const)(
    'the waterfall shows every span in order, within the window, %s',
    async (scheme) => {
      await page.emulateMedia({ colorScheme: scheme })
      await page.goto(`${server.url}/trace/${TRACE}`)
      const shown = await page.locator('body').innerText()
      const names = [
        'send model.outputs',
        'process model.outputs',
        'enrich',
        'evaluate',
        'send decisions.execute',
        'process decisions.execute',
      ]
      const places = names.map((name) => shown.indexOf(name))
      expect(places.every((at) => at >= 0)).toBe(true)
      expect(places).toEqual(places.toSorted((a, b) => a - b))
      for (const name of ['shop', 'sluice', 'refunds']) expect(shown).toContain(name)
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      )
      expect(overflow).toBe(0)
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      const [red = 0] = /\d+/.exec(String(background))?.map(Number) ?? []
      expect(red > 128).toBe(scheme === 'light')
    },
  )

  test('nothing is logged as an error', () => {
    expect(complaints).toEqual([])
  })
})
