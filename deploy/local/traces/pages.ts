import { html, raw } from 'hono/html'
import { DECISION } from '../../../src/telemetry/names.ts'
import type { AttributeValue, Span } from './span.ts'
import { STYLE } from './style.ts'
import { decisionSpans } from './trace-store.ts'
import type { DecisionRow, Filter, Trace } from './trace-store.ts'
import { waterfallOf } from './waterfall.ts'
import type { Line, Waterfall } from './waterfall.ts'

export type Html = ReturnType<typeof html>

const ROUTES = ['execute', 'review', 'reject', 'dead letter']

/** Everything but our own markup goes through `html`, which escapes it. */
function layout(title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html>`
}

export function listPage(rows: readonly DecisionRow[], filter: Filter, kept: number): Html {
  const body = html`<header>
      <h1>Decisions</h1>
      <p class="quiet">the latest first; ${kept} traces are kept</p>
    </header>
    ${filterForm(filter)} ${rows.length === 0 ? emptyList(filter) : listTable(rows)}`
  return layout('Decisions – Sluice traces', body)
}

function filterForm(filter: Filter): Html {
  const options = ROUTES.map((route) => html`<option ${filter.route === route ? 'selected' : ''}>${route}</option>`)
  return html`<form>
    <label
      >decision id <input name="decisionId" value="${filter.decisionId ?? ''}" placeholder="model.outputs:3:1842"
    /></label>
    <label
      >route
      <select name="route">
        <option value="">any</option>
        ${options}
      </select></label
    >
    <button>Show</button>
    <a href="/">all</a>
  </form>`
}

const emptyList = ({ decisionId, route }: Filter): Html =>
  decisionId === null && route === null
    ? html`<p class="empty">No decision has been traced yet. Spans arrive about a second after a decision.</p>`
    : html`<p class="empty">Nothing kept matches. Executes are sampled: not every one of them has a trace.</p>`

const listTable = (rows: readonly DecisionRow[]): Html =>
  html`<table class="list">
    <thead>
      <tr>
        <th>time</th>
        <th>route</th>
        <th>code</th>
        <th>action</th>
        <th>decision id</th>
        <th class="number">duration</th>
        <th class="number">spans</th>
        <th>services</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(listRow)}
    </tbody>
  </table>`

const listRow = (row: DecisionRow): Html =>
  html`<tr>
    <td class="time">${timeOf(row.startMs)}</td>
    <td>${badge(row.route)}</td>
    <td><code>${row.code}</code></td>
    <td>${row.action}</td>
    <td>
      <a href="/trace/${row.traceId}"><code>${row.decisionId}</code></a>
    </td>
    <td class="number">${durationOf(row.durationMs)}</td>
    <td class="number">${row.spans}</td>
    <td class="quiet">${row.services.join(', ')}</td>
  </tr>`

export function missingPage(): Html {
  const body = html`<header><h1>Nothing here</h1></header>
    <p class="empty">Only the last traces are kept, in memory. <a href="/">To the latest</a></p>`
  return layout('Nothing here – Sluice traces', body)
}

/** `isKept` tells whether a linked trace can be shown. */
export function tracePage(trace: Trace, isKept: (traceId: string) => boolean): Html {
  const waterfall = waterfallOf(trace)
  const services = [...new Set(trace.spans.map((it) => it.service))]
  const color = (service: string): string => `var(--service-${services.indexOf(service) % 6})`
  const facts = `${timeOf(waterfall.startMs)} · ${durationOf(waterfall.durationMs)} · ${trace.spans.length} spans`
  const body = html`<nav><a href="/">← latest decisions</a></nav>
    <header>
      <h1>Trace <code>${trace.traceId}</code></h1>
      <p class="quiet">${facts}</p>
    </header>
    ${decisionSpans(trace).slice(0, 20).map(decisionCard)}
    <p class="legend">
      ${services.map((it) => html`<span><i class="dot" style="background:${color(it)}"></i>${it}</span>`)}
    </p>
    <section class="waterfall">
      ${axis(waterfall)} ${waterfall.lines.map((line) => row(line, color(line.span.service), isKept))}
    </section>
    <p class="quiet">Select a span to see its attributes.</p>`
  return layout(`Trace ${trace.traceId.slice(0, 8)} – Sluice traces`, body)
}

function decisionCard({ attributes }: Span): Html {
  const facts = CARD.map(([label, names]) => {
    const values = names.map((name) => attributes[name]).filter((it) => it !== undefined)
    return { label, value: values.map(shown).join(label === 'confidence' ? ' → ' : ' @ ') }
  }).filter(({ value }) => value !== '')
  return html`<section class="card">
    <p>
      ${badge(shown(attributes[DECISION.route] ?? 'dead letter'))}
      <code>${shown(attributes[DECISION.code] ?? '')}</code>
    </p>
    <dl>
      ${facts.map(
        ({ label, value }) =>
          html`<div>
            <dt>${label}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </section>`
}

/** What a card shows, where the span has it. */
const CARD: readonly (readonly [label: string, attributes: readonly string[]])[] = [
  ['decision', [DECISION.id]],
  ['action', [DECISION.action]],
  ['confidence', [DECISION.confidenceRaw, DECISION.confidenceCalibrated]],
  ['margin', [DECISION.margin]],
  ['policy', [DECISION.policyName, DECISION.policyVersion]],
  ['mode', [DECISION.mode]],
]

const axis = ({ durationMs }: Waterfall): Html =>
  html`<div class="axis">
    <span></span>
    <span class="ticks"
      >${[0, 25, 50, 75, 100].map(
        (at) =>
          html`<span style="left:${at}%" class="${at === 100 ? 'last' : ''}"
            >${durationOf((durationMs * at) / 100)}</span
          >`,
      )}</span
    >
  </div>`

function row({ span, depth, left, width, offsetMs }: Line, color: string, isKept: (id: string) => boolean): Html {
  const label = left + width > 85 ? `right:${100 - left}%` : `left:${left + width}%`
  return html`<details class="${span.status}">
    <summary>
      <span class="name" style="padding-left:${0.25 + depth * 1.1}rem"
        ><i class="dot" style="background:${color}"></i
        >${span.name}${span.status === 'error' ? html` <b class="error">error</b>` : ''}</span
      >
      <span class="lane"
        ><i class="bar" style="left:${left}%;width:${width}%;background:${color}"></i
        ><span class="ms" style="${label}">${durationOf(span.endMs - span.startMs)}</span></span
      >
    </summary>
    <table class="attributes">
      ${detailsOf(span, offsetMs).map(
        ([name, value]) =>
          html`<tr>
            <th>${name}</th>
            <td>${value}</td>
          </tr>`,
      )}
      ${span.links.map(
        (link) =>
          html`<tr>
            <th>link</th>
            <td>${linkTo(link, isKept)}</td>
          </tr>`,
      )}
    </table>
  </details>`
}

const detailsOf = (span: Span, offsetMs: number): readonly (readonly [string, string])[] => [
  ['service', span.service],
  ['kind', span.kind],
  ['starts after', durationOf(offsetMs)],
  ['span id', span.spanId],
  ...(span.message === null ? [] : [['status', span.message] as const]),
  ...Object.entries(span.attributes).map(([name, value]) => [name, shown(value)] as const),
]

const linkTo = ({ traceId, spanId }: Span['links'][number], isKept: (id: string) => boolean): Html =>
  isKept(traceId)
    ? html`<a href="/trace/${traceId}"><code>${traceId}</code></a> <code>${spanId}</code>`
    : html`<code>${traceId} ${spanId}</code>`

const badge = (route: string): Html =>
  html`<span class="badge ${ROUTES.includes(route) ? route.replace(' ', '-') : ''}">${route}</span>`

const shown = (value: AttributeValue): string => {
  if (typeof value === 'number') return String(Math.round(value * 1e6) / 1e6)
  return Array.isArray(value) ? value.map(shown).join(', ') : String(value)
}

/** Three digits that matter. */
function durationOf(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 100) return `${ms.toFixed(0)} ms`
  if (ms >= 1) return `${ms.toFixed(1)} ms`
  return `${(ms * 1000).toFixed(0)} µs`
}

const timeOf = (ms: number): string => new Date(ms).toISOString().slice(11, 23)
