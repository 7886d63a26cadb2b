import { area, frame, line, MARGIN, type Size } from './frame.ts'
import { html, type Markup } from './markup.ts'
import type { Diagram } from './reliability.ts'
import { linearScale, type Scale } from './scale.ts'
import { share } from './words.ts'

const HISTOGRAM = 46

/** How often rows of a score are right over the score, and under it how many rows have which score. */
export function reliabilityChart(diagram: Diagram, { width, height }: Size, id: string, says: string): Markup {
  const from = lowestShown(diagram)
  const [top, bottom] = [MARGIN.top, height - MARGIN.bottom - HISTOGRAM]
  const x = linearScale(from, 1, MARGIN.left, width - MARGIN.right, 5)
  const y = linearScale(from, 1, bottom, top, 5)
  const percent = (value: number): string => `${Number((100 * value).toFixed(2))} %`
  const low = diagram.band.map((it) => [x.place(it.score), y.place(it.low)] as const)
  const high = diagram.band.map((it) => [x.place(it.score), y.place(it.high)] as const)
  const content = [
    area('fill-band', low, high),
    line('diagonal', [
      [x.place(from), y.place(from)],
      [x.place(1), y.place(1)],
    ]),
    line(
      'curve',
      diagram.curve.map(([score, right]) => [x.place(score), y.place(right)] as const),
    ),
    ...(diagram.curve.length === 1
      ? diagram.curve.map(
          ([score, right]) =>
            html`<circle class="dot-certified" cx="${x.place(score)}" cy="${y.place(right)}" r="4" />`,
        )
      : []),
  ]
  const axes = { x: { scale: x, title: says, label: percent }, y: { scale: y, title: 'right', label: percent }, bottom }
  const title = `Reliability diagram: ${says} against how often it was right; the scores average ${share(diagram.measures.said)}`
  // The histogram hangs under the titles of the axis, over the same scores.
  return frame({ width, height }, axes, { id, title, content, over: bars(diagram.histogram, x, height) })
}

/** Where nearly all rows lie: from a full tenth up to 1. */
function lowestShown({ lowest, curve }: Diagram): number {
  const shown = curve.filter(([score]) => score >= lowest).map(([, right]) => right)
  const least = Math.min(lowest, ...shown)
  return Math.min(0.9, Math.max(0, Math.floor(least * 10 + 1e-9) / 10))
}

function bars(histogram: readonly number[], x: Scale, height: number): readonly Markup[] {
  const most = Math.max(1, ...histogram)
  const [base, room] = [height - 2, HISTOGRAM - 6]
  return histogram.flatMap((rows, bin) => {
    const [left, right] = [bin / histogram.length, (bin + 1) / histogram.length]
    if (rows === 0 || right <= x.from + 1e-9) return []
    const tall = Math.max(1, Math.round((100 * room * rows) / most) / 100)
    const wide = Math.round(100 * (x.place(right) - x.place(left) - 1)) / 100
    return [
      html`<rect
        class="bar"
        x="${x.place(left)}"
        y="${Math.round(100 * (base - tall)) / 100}"
        width="${Math.max(1, wide)}"
        height="${tall}"
      />`,
    ]
  })
}
