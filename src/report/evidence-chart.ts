import type { AuditReport } from './audit.ts'
import { frame, line, MARGIN, type Size } from './frame.ts'
import { html, type Markup } from './markup.ts'
import { linearScale, powerScale } from './scale.ts'
import { count } from './words.ts'

/** The detector's evidence after every audited outcome, on a scale of powers of ten, and where it would alarm. */
export function evidenceChart({ path, alarmAt, alarm }: AuditReport, size: Size, id: string): Markup {
  const outcomes = path.at(-1)?.[0] ?? 1
  const highest = Math.max(
    10 * alarmAt,
    ...path.map(([, evidence]) => 10 ** Math.ceil(Math.log10(Math.max(1, evidence)))),
  )
  const x = linearScale(0, Math.max(1, outcomes), MARGIN.left, size.width - MARGIN.right, size.width < 500 ? 4 : 8)
  const y = powerScale(0.1, Math.min(1e12, highest), size.height - MARGIN.bottom, MARGIN.top)
  const content = [
    html`<path class="limit" d="M${MARGIN.left} ${y.place(alarmAt)}H${size.width - MARGIN.right}" />`,
    line(
      'curve',
      path.map(([after, evidence]) => [x.place(after), y.place(evidence)] as const),
    ),
    ...(alarm === null
      ? []
      : [html`<circle class="dot-failed" cx="${x.place(alarm)}" cy="${y.place(alarmAt)}" r="5" />`]),
  ]
  const axes = {
    x: { scale: x, title: 'audited outcomes', label: count },
    y: { scale: y, title: 'evidence', label: powerName },
  }
  return frame(size, axes, {
    id,
    title: `Evidence against the promise; an alarm is raised at ${count(alarmAt)}`,
    content,
  })
}

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹'

/** Long numbers as powers of ten. */
const powerName = (value: number): string =>
  value <= 10_000
    ? value < 1
      ? String(value)
      : count(value)
    : `10${Array.from(String(Math.round(Math.log10(value))), (it) => SUPERSCRIPTS[Number(it)] ?? '').join('')}`
