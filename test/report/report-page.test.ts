import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pageOf } from '../../src/report/page.ts'
import { reportOf } from '../../src/report/report-of.ts'
import { hasBrowser, openBrowser } from '../browser.ts'
import { certifiedInput, fullInput } from './reported.ts'

/** Runs in the page: texts of a drawing that lie on each other, or partly outside of it. */
const SPOILT = `
[...document.querySelectorAll('svg')].filter((svg) => svg.getBoundingClientRect().width > 0).flatMap((svg) => {
  const whole = svg.getBoundingClientRect()
  const texts = [...svg.querySelectorAll('text')].map((it) => ({ text: it.textContent, box: it.getBoundingClientRect() }))
  const meet = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5
  const overlaps = texts.flatMap((a, i) => texts.slice(i + 1).filter((b) => meet(a.box, b.box)).map((b) => a.text + ' on ' + b.text))
  const cut = texts.filter(({ box }) => box.left < whole.left - 0.5 || box.right > whole.right + 0.5 || box.top < whole.top - 0.5 || box.bottom > whole.bottom + 0.5)
  return [...overlaps, ...cut.map(({ text }) => text + ' is cut off')]
})`

/** Runs in the page: what is written with less contrast than WCAG's 4.5 to 1, and what is smaller than 10 pixels. */
const FAINT = `
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const backgroundOf = (it) => {
    for (let at = it; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor
      if (!/, 0(\\.\\d+)?\\)$/.test(colour)) return colour
    }
    return 'rgb(255, 255, 255)'
  }
  return [...document.querySelectorAll('h1, h2, p, td, th, dt, dd, li, figcaption, strong, svg text')].flatMap((it) => {
    if (it.getBoundingClientRect().width === 0 || it.textContent.trim() === '') return []
    const style = getComputedStyle(it)
    const [a, b] = [light(it.tagName === 'text' ? style.fill : style.color), light(backgroundOf(it))]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const scale = it.tagName === 'text' ? it.ownerSVGElement.getBoundingClientRect().width / it.ownerSVGElement.viewBox.baseVal.width : 1
    const size = parseFloat(style.fontSize) * scale
    return contrast < 4.5 || size < 10 ? [it.textContent.slice(0, 40) + ': ' + contrast.toFixed(2) + ', ' + size.toFixed(1) + ' px'] : []
  })
})()`

describe.runIf(hasBrowser)('the report in a browser', () => {
  let folder: string
  let browser: Browser
  let page: Page
  const complaints: string[] = []
  const requests: string[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-report-'))
    for (const [name, input] of Object.entries({
      full: fullInput(),
      plain: certifiedInput(),
      segment: certifiedInput({ segment: 'arc' }),
    })) {
      const report = reportOf(input)
      if (typeof report === 'string') throw new Error(report)
      await writeFile(join(folder, `${name}.html`), pageOf(report))
    }
    browser = await openBrowser()
    page = await browser.newPage()
    page.on('console', (message) => void complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => requests.push(request.url()))
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true })
  })

  const looks = ['full', 'plain', 'segment'].flatMap((name) =>
    ([1_280, 720, 390, 320] as const).flatMap((width) =>
      (['light', 'dark'] as const).map((scheme) => [name, width, scheme] as const),
    ),
  )

  test.each(looks)(
    '%s, %d pixels wide, %s: nothing overflows, overlaps, is cut off, too small or too faint',
    async (name, width, scheme) => {
      await page.setViewportSize({ width, height: 900 })
      await page.emulateMedia({ colorScheme: scheme })
      await page.goto(`file://${join(folder, `${name}.html`)}`)
      expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
      expect(await page.evaluate(SPOILT)).toEqual([])
      expect(await page.evaluate(FAINT)).toEqual([])
      const background = String(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
      const [red = 0] = /\d+/.exec(background)?.map(Number) ?? []
      expect(red > 128).toBe(scheme === 'light')
      const drawings = await page.locator('figure svg:not(.key):visible').count()
      expect(drawings).toBe(name === 'full' ? 7 : 5)
    },
  )

  test('on paper it is light, even for who prefers it dark, and no table is cut off', async () => {
    await page.setViewportSize({ width: 794, height: 1_123 })
    await page.emulateMedia({ colorScheme: 'dark', media: 'print' })
    await page.goto(`file://${join(folder, 'full.html')}`)
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
    expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
    expect(await page.evaluate(FAINT)).toEqual([])
    const bytes = await page.pdf({ format: 'A4' })
    expect(bytes.subarray(0, 5).toString()).toBe('%PDF-')
    await page.emulateMedia({ media: null })
  })

  test('it is also well-formed XML to the browser, asks for nothing, and complains of nothing', async () => {
    await page.goto(`file://${join(folder, 'full.html')}`)
    const parsed = await page.evaluate(
      `new DOMParser().parseFromString('<html xmlns="http://www.w3.org/1999/xhtml">' + document.documentElement.innerHTML.replaceAll(/<meta ([^>]*)>/g, '<meta $1/>').replaceAll('&nbsp;', ' ') + '</html>', 'application/xhtml+xml').querySelector('parsererror')?.textContent ?? null`,
    )
    expect(parsed).toBeNull()
    expect(requests.every((url) => url.startsWith(`file://${folder}/`))).toBe(true)
    expect(complaints).toEqual([])
  })
})
