import { percent } from '../decision/words.ts'
import type { AuditReport, Stratum } from './audit.ts'
import { evidenceChart } from './evidence-chart.ts'
import { fitted, legend } from './frame.ts'
import { html, type Markup } from './markup.ts'
import { mixBar } from './mix-bar.ts'
import type { Mix } from './mix.ts'
import type { Report } from './report.ts'
import { figureOf, number, paragraph, section, table } from './section.ts'
import { count, figure, share } from './words.ts'

export const mixSection = ({ mix }: Report): Markup =>
  section('mix', 'Verdicts and review load', [...expectedMix(mix), ...observedMix(mix)])

function expectedMix({ expected, reviewsPerDay }: Mix): readonly Markup[] {
  const parts = [
    { name: 'execute', events: expected.execute },
    { name: 'review', events: expected.review },
    { name: 'no-score', events: expected.withoutScore },
  ]
  const whole = parts.reduce((sum, { events }) => sum + events, 0)
  const reviews = expected.review + expected.withoutScore
  const load = `${count((1_000 * reviews) / whole)} of 1,000 events go to review`
  return [
    figureOf(
      html`${mixBar(parts, 'What the threshold does to the unlabelled rows')}
      ${legend([
        ['fill-execute', `execute ${share(expected.execute / whole)}`],
        ['fill-review', `review, below the threshold ${share(expected.review / whole)}`],
        ['fill-no-score', `review, no score ${share(expected.withoutScore / whole)}`],
      ])}`,
      `Expected from ${count(whole)} unlabelled rows, if nothing but this threshold decides: ${load}${
        reviewsPerDay === null ? '' : `, ${figure(reviewsPerDay)} a day at their rate`
      }.`,
    ),
  ]
}

function observedMix({ observed }: Mix): readonly Markup[] {
  if (observed === null)
    return [
      paragraph(
        'No verdicts were given, so this says nothing about what was decided; --verdicts names a file of them.',
      ),
    ]
  const whole = observed.routes.reduce((sum, { events }) => sum + events, 0)
  return [
    figureOf(
      html`${mixBar(
        observed.routes.map(({ route, events }) => ({ name: route, events })),
        'What was decided',
      )}
      ${legend(observed.routes.map(({ route, events }) => [`fill-${route}`, `${route} ${share(events / Math.max(1, whole))}`] as const))}`,
      `Decided: ${count(whole)} verdicts${observed.reviewsPerDay === null ? '' : `, ${figure(observed.reviewsPerDay)} reviews a day`}.`,
    ),
    ...(observed.codes.length === 0
      ? []
      : [
          table(
            ['route', 'code', number('verdicts'), number('share')],
            observed.codes.map(({ route, code, events }) => ({
              cells: [route, html`<code>${code}</code>`, number(count(events)), number(share(events / whole))],
            })),
          ),
        ]),
  ]
}

export function auditSection({ audit, certificate }: Report): Markup {
  if (audit === null)
    return section('audit', 'Audits of what was executed', [
      paragraph(
        'No verdicts were given, so nothing is known about what was executed since. Outcomes that are known only for what reviewers let through would look far too good: only audits drawn by chance count here.',
      ),
    ])
  if (audit.strata.length === 0)
    return section('audit', 'Audits of what was executed', [
      paragraph(
        `None of ${count(audit.executed)} executed events was marked for audit, so the promise is not watched.`,
      ),
    ])
  return section('audit', 'Audits of what was executed', [
    paragraph(estimateWords(audit, certificate.risk)),
    table(
      [
        'audited with chance',
        number('marked'),
        number('outcome known'),
        number('wrong'),
        number('share'),
        number('upper bound'),
      ],
      audit.strata.map(stratumRow),
    ),
    ...(audit.path.length === 0 ? [] : [watchFigure(audit)]),
  ])
}

const estimateWords = ({ executed, strata, estimate }: AuditReport, risk: number): string =>
  `${count(executed)} executed, ${count(strata.reduce((sum, { marked }) => sum + marked, 0))} of them marked for audit. ` +
  (estimate === null
    ? 'No outcome is known yet.'
    : `Each audited one standing for as many as its chance says, ${share(estimate)} of what was executed was wrong; ${percent(risk)} is allowed.`)

const stratumRow = ({ propensity: { from, to }, marked, known, errors, upperBound }: Stratum) => ({
  cells: [
    from === to ? percent(from) : `${percent(from)} to ${percent(to)}`,
    number(count(marked)),
    number(count(known)),
    number(count(errors)),
    number(known === 0 ? '–' : share(errors / known)),
    number(known === 0 ? '–' : share(upperBound)),
  ],
})

const watchFigure = (audit: AuditReport): Markup =>
  figureOf(
    html`${fitted((size, id) => evidenceChart(audit, size, id), 'evidence-chart', { width: 760, height: 280 }, { width: 340, height: 260 })}
    ${legend([
      ['curve', 'evidence that more is wrong than promised'],
      ['limit', `alarm at ${count(audit.alarmAt)}`],
    ])}`,
    audit.alarm === null
      ? 'No alarm: the certificate is not withdrawn by these outcomes.'
      : `Alarm after ${count(audit.alarm)} audited outcomes: the certificate lapses, and its events go to review.`,
  )
