import { html, type Markup } from './markup.ts'
import type { Scale } from './scale.ts'

/** Width and height of a drawing, in its own units: pixels where it is not scaled. */
export type Size = { readonly width: number; readonly height: number }

export const MARGIN = { left: 62, right: 24, top: 14, bottom: 48 } as const

export type Axis = { readonly scale: Scale; readonly title: string; readonly label: (value: number) => string }

/** A drawing with its axes and lines at the ticks; `content` is cut off at the axes, `over` is not. */
export function frame(
  { width, height }: Size,
  { x, y, top = MARGIN.top, bottom = height - MARGIN.bottom }: { x: Axis; y: Axis; top?: number; bottom?: number },
  {
    id,
    title,
    content,
    over = [],
  }: { id: string; title: string; content: readonly Markup[]; over?: readonly Markup[] },
): Markup {
  const [left, right] = [MARGIN.left, width - MARGIN.right]
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" style="max-width:${width}px">
    <clipPath id="${id}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}" /></clipPath>
    ${y.scale.ticks.map((it) => yTick(y, it, left, right))} ${x.scale.ticks.map((it) => xTick(x, it, top, bottom))}
    <g clip-path="url(#${id})">${content}</g>
    ${over}
    <path class="axis" d="M${left} ${top}V${bottom}H${right}" />
    <text class="title" x="${(left + right) / 2}" y="${bottom + 39}" text-anchor="middle">${x.title}</text>
    <text class="title" transform="translate(14 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">
      ${y.title}
    </text>
  </svg>`
}

const yTick = ({ scale, label }: Axis, value: number, left: number, right: number): Markup => {
  const y = scale.place(value)
  return html`<path class="grid" d="M${left} ${y}H${right}" /><text x="${left - 6}" y="${y + 4}" text-anchor="end"
      >${label(value)}</text
    > `
}

const xTick = ({ scale, label }: Axis, value: number, top: number, bottom: number): Markup => {
  const x = scale.place(value)
  return html`<path class="grid" d="M${x} ${top}V${bottom}" /><text x="${x}" y="${bottom + 19}" text-anchor="middle"
      >${label(value)}</text
    > `
}

export type Place = readonly [x: number, y: number]

/** A line through these places. */
export const line = (name: string, places: readonly Place[]): Markup =>
  places.length === 0 ? html`` : html`<path class="${name}" d="M${places.map(([x, y]) => `${x} ${y}`).join('L')}" /> `

/** The area between two lines over the same x. */
export const area = (name: string, low: readonly Place[], high: readonly Place[]): Markup =>
  low.length === 0
    ? html``
    : html`<path class="${name}" d="M${[...high, ...low.toReversed()].map(([x, y]) => `${x} ${y}`).join('L')}Z" /> `

/** The drawing twice, for wide and for narrow pages, so that its letters never shrink. */
export const fitted = (draw: (size: Size, id: string) => Markup, id: string, wide: Size, narrow: Size): Markup =>
  html`<div class="wide">${draw(wide, `${id}-wide`)}</div>
    <div class="narrow">${draw(narrow, `${id}-narrow`)}</div>`

/** What the lines and colours of a drawing mean. */
export const legend = (entries: readonly (readonly [name: string, meaning: string])[]): Markup =>
  html`<ul class="legend">
    ${entries.map(([name, meaning]) => html`<li><svg class="key" viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">${keyOf(name)}</svg>${meaning}</li>`)}
  </ul>`

const keyOf = (name: string): Markup =>
  name.startsWith('dot')
    ? html`<circle class="${name}" cx="12" cy="6" r="4" />`
    : name.startsWith('fill')
      ? html`<rect class="${name}" x="1" y="1" width="22" height="10" />`
      : html`<path class="${name}" d="M1 6H23" />`
