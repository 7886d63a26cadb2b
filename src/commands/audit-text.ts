import type { AuditReport } from '../audit/auditor.ts'
import { AUDIT_FINDINGS } from '../audit/finding.ts'
import type { AuditFinding, FindingKind } from '../audit/finding.ts'

/** A report for people: up to where it is sure, what it found, and what it could not tell. */
export function auditText(report: AuditReport, input: string): string {
  const { partitions, verdicts, deadLetters, unrepeatable, uncompared } = report
  const lines = [
    `${verdicts} verdicts and ${deadLetters} dead letters were read, and every verdict decided again from its record.`,
    ...partitions.map(
      ({ partition, sure, committed, untold }) =>
        `  ${input}-${partition}: sure below offset ${sure}, ${committed} is committed${untoldText(untold)}`,
    ),
  ]
  if (unrepeatable > 0)
    lines.push(`${unrepeatable} verdicts name a policy that is not published, and were not decided again.`)
  if (uncompared > 0)
    lines.push(`${uncompared} answers were not held against their event, which was deleted or read too late.`)
  return [...lines, ...foundLines(report, input), ''].join('\n')
}

const untoldText = (untold: number): string =>
  untold === 0 ? '' : `; of ${untold} events it cannot be told, since retention has deleted them or their answers`

function foundLines({ ok, findings, recent }: AuditReport, input: string): readonly string[] {
  if (ok) return ['Nothing is wrong: every event has exactly one answer, and it is the one its record gives.']
  const counts = (Object.keys(findings) as FindingKind[])
    .filter((kind) => findings[kind] > 0)
    .map((kind) => `${String(findings[kind]).padStart(6)} ${kind}: ${AUDIT_FINDINGS[kind]}`)
  return ['WRONG:', ...counts, 'The last of them:', ...recent.slice(-20).map((it) => findingLine(it, input))]
}

function findingLine({ kind, partition, from, next, detail }: AuditFinding, input: string): string {
  if (partition < 0) return `  ${kind}: ${detail}`
  const place = `${input}:${partition}:${from}`
  return `  ${kind} ${next === from + 1 ? place : `${place} to ${next - 1}`}: ${detail}`
}
