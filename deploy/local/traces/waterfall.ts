import type { Span } from './span.ts'
import type { Trace } from './trace-store.ts'

/** One line of a waterfall; `left` and `width` in percent of the whole. */
export type Line = {
  readonly span: Span
  readonly depth: number
  readonly left: number
  readonly width: number
  /** From the trace's start, milliseconds. */
  readonly offsetMs: number
}

export type Waterfall = { readonly lines: readonly Line[]; readonly startMs: number; readonly durationMs: number }

/** Children below their parents, by start. A span whose parent was never received stands at the top level. */
export function waterfallOf({ spans }: Trace): Waterfall {
  const startMs = Math.min(...spans.map((it) => it.startMs))
  const durationMs = Math.max(...spans.map((it) => it.endMs)) - startMs
  const scale = durationMs > 0 ? 100 / durationMs : 0
  const known = new Set(spans.map((it) => it.spanId))
  const children = Map.groupBy(spans, (it) => {
    const parent = it.parentSpanId
    return parent === null || !known.has(parent) || parent === it.spanId ? null : parent
  })
  const lines: Line[] = []
  const seen = new Set<string>()
  const walk = (span: Span, depth: number): void => {
    if (seen.has(span.spanId)) return
    seen.add(span.spanId)
    const offsetMs = span.startMs - startMs
    const width = Math.max(0, span.endMs - span.startMs) * scale
    lines.push({ span, depth, left: offsetMs * scale, width, offsetMs })
    for (const child of children.get(span.spanId) ?? []) walk(child, depth + 1)
  }
  for (const root of children.get(null) ?? []) walk(root, 0)
  // Spans that name each other as parents have no root; they are shown all the same.
  for (const span of spans) walk(span, 0)
  return { lines, startMs, durationMs }
}
