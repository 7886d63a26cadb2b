import { html, type Markup } from './markup.ts'

/** Parts of a whole side by side; a part is told by its class and by the legend under it. */
export function mixBar(parts: readonly { readonly name: string; readonly events: number }[], title: string): Markup {
  const whole = Math.max(
    1,
    parts.reduce((sum, { events }) => sum + events, 0),
  )
  let from = 0
  const rects = parts.map(({ name, events }) => {
    const [left, wide] = [from, (1_000 * events) / whole]
    from += wide
    return html`<rect class="fill-${name}" x="${left.toFixed(2)}" y="0" width="${wide.toFixed(2)}" height="26" />`
  })
  return html`<svg class="mix" viewBox="0 0 1000 26" preserveAspectRatio="none" role="img" aria-label="${title}">
    ${rects}
  </svg>`
}
