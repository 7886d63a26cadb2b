import type { Outlook } from '../calibration/next-labels.ts'
import { frame, line, MARGIN, type Size } from './frame.ts'
import { html, type Markup } from './markup.ts'
import { linearScale, roundStep } from './scale.ts'
import { count } from './words.ts'

/** The share that could be executed over how many labels there are; `now` is how many there are at present. */
export function outlookChart(outlook: readonly Outlook[], now: number, size: Size, id: string): Markup {
  const most = Math.max(...outlook.map(({ labels }) => labels))
  const highest = Math.max(0.05, ...outlook.map(({ coverage }) => coverage.p90))
  const step = roundStep(highest / 5)
  const x = linearScale(0, most * 1.04, MARGIN.left, size.width - MARGIN.right, size.width < 500 ? 4 : 8)
  const y = linearScale(
    0,
    Math.min(1, Math.ceil(highest / step + 0.25) * step),
    size.height - MARGIN.bottom,
    MARGIN.top,
    5,
  )
  const percent = (value: number): string => `${Number((100 * value).toFixed(2))} %`
  const content = [
    line(
      'curve',
      outlook.map(({ labels, coverage }) => [x.place(labels), y.place(coverage.mean)] as const),
    ),
    ...outlook.map(({ labels, coverage }) => {
      const at = x.place(labels)
      return html`<path class="whisker" d="M${at} ${y.place(coverage.p10)}V${y.place(coverage.p90)}" /><circle
          class="${labels === now ? 'dot-certified' : 'dot-hollow'}"
          cx="${at}"
          cy="${y.place(coverage.mean)}"
          r="4"
        />`
    }),
  ]
  const axes = {
    x: { scale: x, title: 'labels', label: count },
    y: { scale: y, title: 'executed', label: percent },
  }
  return frame(size, axes, { id, title: 'Share executed over the number of labels', content })
}
