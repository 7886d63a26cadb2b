import type { CostReport, CostRow } from './costs.ts'
import { fitted, legend } from './frame.ts'
import { html, type Markup } from './markup.ts'
import { outlookChart } from './outlook-chart.ts'
import type { Report } from './report.ts'
import { figureOf, number, paragraph, section, table } from './section.ts'
import { count, figure, share } from './words.ts'

export function costSection({ costs }: Report): Markup {
  const hasCosts = costs.costs !== null
  return section('costs', 'Costs of 1,000 events', [
    paragraph(
      costs.costs === null
        ? 'No costs were given (--cost-wrong, --cost-review), so here are only the numbers they would be multiplied with.'
        : `A wrong execution costs ${figure(costs.costs.wrongExecution, 6)}, a review ${figure(costs.costs.review, 6)}.`,
    ),
    table(
      [
        'policy',
        number('execute from'),
        number('executed'),
        number('reviewed'),
        number('wrong'),
        ...(hasCosts ? [number('cost')] : []),
      ],
      costs.rows.map((it) => costRow(it, costs)),
    ),
    ...byCostWords(costs),
    paragraph(breakEvenWords(costs)),
    ...(costs.rows.some(({ policy }) => policy === 'previous policy')
      ? []
      : [paragraph('The policy before this one is not shown; --previous says from which score on it executed.')]),
  ])
}

function byCostWords({ costs, rows }: CostReport): readonly Markup[] {
  if (costs === null || rows.some(({ policy }) => policy === 'by cost within it')) return []
  const least = share(1 - costs.review / costs.wrongExecution)
  return [
    paragraph(
      `Executing is cheaper than a review from a probability of ${least} of being right upwards, which no score reaches ` +
        'after calibration, or no map could be fitted.',
    ),
  ]
}

function costRow(
  it: CostRow,
  { rows }: CostReport,
): { readonly kind: string; readonly cells: Parameters<typeof table>[0] } {
  const least = Math.min(...rows.map(({ cost }) => cost ?? Infinity))
  const cost = it.cost === null ? [] : [number(`${count(it.cost)}${it.cost === least ? ' (least)' : ''}`)]
  return {
    kind: it.policy === 'this certificate' ? 'chosen' : '',
    cells: [
      it.policy,
      number(it.threshold === null ? '–' : String(it.threshold)),
      number(it.executed.toFixed(0)),
      number(it.reviewed.toFixed(0)),
      number(it.wrong.toFixed(1)),
      ...cost,
    ],
  }
}

function breakEvenWords({ breakEven: { reviewAll, executeAll } }: CostReport): string {
  const than =
    reviewAll === null
      ? 'No executed label was wrong, so the certificate is cheaper than reviewing all whatever an error costs.'
      : `The certificate is cheaper than reviewing all as long as a wrong execution costs less than ${figure(reviewAll)} reviews`
  if (executeAll === null) return reviewAll === null ? than : `${than}.`
  const more = `cheaper than executing all as soon as it costs more than ${figure(executeAll)} reviews.`
  return reviewAll === null ? `${than} It is ${more}` : `${than}, and ${more}`
}

export function outlookSection({ outlook, certificate }: Report): Markup {
  const now = outlook.find(({ labels }) => labels === certificate.labels)
  const next = outlook.find(({ labels }) => labels === certificate.labels + 1_000)
  const gain = now === undefined || next === undefined ? null : next.coverage.mean - now.coverage.mean
  return section('outlook', 'What the next 1,000 labels would buy', [
    paragraph(
      gain === null || now === undefined || next === undefined
        ? 'There are no labels to draw from.'
        : `About ${points(gain)} of the traffic: from ${share(now.coverage.mean)} executed with ${count(now.labels)} labels to ` +
            `${share(next.coverage.mean)} with ${count(next.labels)}, if errors stay as frequent at every score.`,
    ),
    figureOf(
      html`${fitted((size, id) => outlookChart(outlook, certificate.labels, size, id), 'outlook-chart', { width: 760, height: 280 }, { width: 340, height: 260 })}
      ${legend([
        ['curve', 'mean'],
        ['whisker', 'eight of ten samples'],
        ['dot-certified', 'as many labels as now'],
      ])}`,
      'Samples of each size, drawn from the labels there are and certified. The present certificate is one sample, and may be luckier or less lucky than their mean.',
    ),
    table(
      [
        number('labels'),
        number('executed, mean'),
        number('1 in 10 below'),
        number('1 in 10 above'),
        number('certified at all'),
      ],
      outlook.map(({ labels, certified, coverage }) => ({
        kind: labels === certificate.labels ? 'chosen' : '',
        cells: [
          number(count(labels)),
          number(share(coverage.mean)),
          number(share(coverage.p10)),
          number(share(coverage.p90)),
          number(share(certified)),
        ],
      })),
    ),
  ])
}

const points = (gain: number): string => `${gain < 0 ? '−' : ''}${Math.abs(100 * gain).toFixed(1)} points`
