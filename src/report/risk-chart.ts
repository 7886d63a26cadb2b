import { area, frame, line, MARGIN, type Size } from './frame.ts'
import { html, type Markup } from './markup.ts'
import type { Mark, RiskCurve, RiskPoint } from './risk-curve.ts'
import { linearScale, roundStep, type Scale } from './scale.ts'
import { figure } from './words.ts'

const ROW = 17

/** The share of wrong ones over the share that is executed, threshold by threshold, with bounds and what is allowed. */
export function riskChart({ points, marks }: RiskCurve, risk: number, size: Size, id: string, per: string): Markup {
  const top = MARGIN.top + ROW * marks.length
  const bottom = size.height - MARGIN.bottom
  const x = linearScale(0, 1, MARGIN.left, size.width - MARGIN.right, size.width < 500 ? 5 : 10)
  const y = linearScale(0, highestShown(points, risk), bottom, top, 6)
  const known = points.filter(({ share }) => share !== null)
  const lineOf = (of: (point: RiskPoint) => number) =>
    known.map((it) => [x.place(it.coverage), Math.max(-1e4, y.place(of(it)))] as const)
  const content = [
    area(
      'fill-band',
      lineOf(({ low }) => low),
      lineOf(({ high }) => high),
    ),
    line(
      'bound',
      lineOf(({ high }) => high),
    ),
    line(
      'curve',
      lineOf((it) => it.share ?? 0),
    ),
    html`<path class="limit" d="M${MARGIN.left} ${y.place(risk)}H${size.width - MARGIN.right}" />`,
    ...known.map(
      (it) =>
        html`<circle
          class="dot-${it.result.replaceAll(' ', '-')}"
          cx="${x.place(it.coverage)}"
          cy="${y.place(it.share ?? 0)}"
          r="2.6"
        />`,
    ),
  ]
  const over = [
    ...marks.map((it, row) => markLine(it, row, x, bottom)),
    ...marks.map((it, row) => markName(it, row, x)),
  ]
  const percent = (value: number): string => `${Number((100 * value).toFixed(3))} %`
  const title = `Share of wrong ones over the share executed; allowed is ${percent(risk)}`
  return frame(
    size,
    {
      x: { scale: x, title: 'share of traffic executed', label: percent },
      y: { scale: y, title: per, label: percent },
      top,
    },
    { id, title, content, over },
  )
}

/** Enough to see what is allowed and what all would be, but never so much that the former is a hair above nothing. */
function highestShown(points: readonly RiskPoint[], risk: number): number {
  const last = points.at(-1)?.share ?? risk
  const wanted = Math.min(1, Math.max(2 * risk, Math.min(1.15 * last, 6 * risk)))
  const step = roundStep(wanted / 6)
  return Math.ceil(wanted / step - 1e-9) * step
}

/** A line down from the row in which the threshold's name stands, above the drawing. */
const markLine = ({ name, coverage }: Mark, row: number, x: Scale, bottom: number): Markup =>
  html`<path class="mark mark-${name.replaceAll(' ', '-')}" d="M${x.place(coverage)} ${rowAt(row) - 8}V${bottom}" />`

/** Over all lines, since a longer one may pass here. */
function markName({ name, threshold, coverage }: Mark, row: number, x: Scale): Markup {
  const isLeft = coverage < 0.5
  return html`<text
    class="mark-name"
    x="${x.place(coverage) + (isLeft ? 6 : -6)}"
    y="${rowAt(row) + 2}"
    text-anchor="${isLeft ? 'start' : 'end'}"
    >${name} ≥ ${figure(threshold, 6)}</text
  >`
}

const rowAt = (row: number): number => MARGIN.top + ROW * row
