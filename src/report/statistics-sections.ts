import { percent } from '../decision/words.ts'
import { figureOf, number, paragraph, section, table, type Cell } from './section.ts'
import { fitted, legend } from './frame.ts'
import { html, type Markup } from './markup.ts'
import { reliabilityChart } from './reliability-chart.ts'
import type { Diagram } from './reliability.ts'
import type { Report } from './report.ts'
import { riskChart } from './risk-chart.ts'
import type { RiskPoint } from './risk-curve.ts'
import type { SegmentRow } from './segment-rows.ts'
import { count, figure, share } from './words.ts'

const WIDE = { width: 760, height: 400 }
const SQUARE = { width: 400, height: 430 }
const SMALL = { width: 340, height: 370 }
const NARROW = { width: 340, height: 330 }

export function reliabilitySection({ reliability }: Report): Markup {
  const { before, after, rows, right, auroc, withoutMap } = reliability
  const draw = (diagram: Diagram, name: string, says: string): Markup =>
    html`<div>
      ${fitted((size, id) => reliabilityChart(diagram, size, id, says), `reliability-${name}`, SQUARE, SMALL)}
    </div>`
  const ranking =
    auroc === null
      ? ''
      : ` The scores rank a right row above a wrong one in ${share(auroc)} of all pairs, which no map can change.`
  return section('reliability', 'How far the scores can be believed', [
    paragraph(
      `Of ${count(rows)} labelled rows ${share(right)} are right; their scores say ${share(before.measures.said)}.${ranking}`,
    ),
    html`<figure>
      <div class="pair">
        ${draw(before, 'before', 'raw score')}${after === null ? html`` : draw(after, 'after', `calibrated score (${after.kind})`)}
      </div>
      ${legend([
        ['curve', 'how often right (isotonic)'],
        ['diagonal', 'what the score says'],
        ['fill-band', 'where the curve would lie in 90 of 100 samples if the scores were exactly right'],
        ['bar', 'rows'],
      ])}
      <figcaption>
        CORP reliability diagram,
        before${after === null ? '' : ' and after calibration, each row by a map fitted without it'}. A curve below the
        diagonal: the scores promise too much.
      </figcaption>
    </figure>`,
    ...(withoutMap === null ? [] : [paragraph(withoutMap)]),
    measuresTable(before, after),
  ])
}

const MEASURES: readonly (readonly [string, (diagram: Diagram) => string])[] = [
  ['log loss', (it) => it.measures.logLoss.toFixed(4)],
  ['Brier score = MCB − DSC + UNC', (it) => it.measures.brier.toFixed(4)],
  ['MCB, miscalibration', (it) => it.parts.miscalibration.toFixed(4)],
  ['DSC, discrimination', (it) => it.parts.discrimination.toFixed(4)],
  ['UNC, uncertainty', (it) => it.parts.uncertainty.toFixed(4)],
  ['calibration error (15 bins)', (it) => it.measures.calibrationError.toFixed(4)],
  ['… that chance alone would give: mean', (it) => it.noiseFloor.mean.toFixed(4)],
  ['… 95 % of samples stay below', (it) => it.noiseFloor.p95.toFixed(4)],
  ['smooth calibration error', (it) => it.measures.smoothError.toFixed(4)],
]

const measuresTable = (before: Diagram, after: Diagram | null): Markup =>
  table(
    ['', number('before'), ...(after === null ? [] : [number('after')])],
    MEASURES.map(([name, of]) => ({
      cells: [name, number(of(before)), ...(after === null ? [] : [number(of(after))])],
    })),
  )

export function riskSection({ risk, certificate }: Report): Markup {
  const per = certificate.budget === 'per-event' ? 'wrong of all events' : 'wrong among executed'
  const { calibrated, low, high } = risk.atThreshold
  const lowest =
    `The lowest score that is executed, ${certificate.threshold}, is right with a probability between ${share(low)} and ` +
    `${share(high)} by Venn–Abers${calibrated === null ? '' : `, and of about ${share(calibrated)} by the map`}.`
  return section('risk', 'Coverage and risk', [
    figureOf(
      html`${fitted((size, id) => riskChart(risk, certificate.risk, size, id, per), 'risk-chart', WIDE, NARROW)}
      ${legend([
        ['limit', `allowed: ${percent(certificate.risk)}`],
        ['curve', per],
        ['bound', `upper bound at ${percent(certificate.assurance)}, each for itself`],
        ['fill-band', 'between lower and upper bound'],
        ['dot-certified', 'certified'],
        ['dot-failed', 'tested and failed'],
        ['dot-not-reached', 'not reached'],
      ])}`,
      'Each dot is a threshold of the grid, strict ones to the left. What lies higher than the drawing is cut off.',
    ),
    paragraph(lowest),
  ])
}

export function thresholdSection({ risk, certificate }: Report): Markup {
  const certified = risk.points.filter(({ result }) => result === 'certified').length
  const failed = risk.points.filter(({ result }) => result === 'failed').length
  const rest = risk.points.length - certified - failed
  return section('thresholds', 'Every threshold that was tried', [
    paragraph(
      `${risk.points.length} thresholds, strict to loose: ${certified} certified, ${failed} failed` +
        `${rest === 0 ? '' : `, ${rest} not reached, since one before them failed`}. ` +
        `p-value: the chance of so few errors if the risk were just above ${percent(certificate.risk)}; ` +
        'a threshold is certified when that is at most its level.',
    ),
    table(
      [
        number('threshold'),
        number('traffic'),
        number('executed'),
        number('errors'),
        number('wrong'),
        number('upper bound'),
        number('p-value'),
        number('level'),
        'result',
      ],
      risk.points.map((it) => ({
        kind: `${it.result.replaceAll(' ', '-')}${it.threshold === certificate.threshold ? ' chosen' : ''}`,
        cells: thresholdCells(it, it.threshold === certificate.threshold),
      })),
    ),
  ])
}

const thresholdCells = (it: RiskPoint, isChosen: boolean): readonly Cell[] => [
  number(String(it.threshold)),
  number(share(it.coverage)),
  number(count(it.executed)),
  number(count(it.errors)),
  number(share(it.share)),
  number(share(it.high)),
  number(figure(it.pValue)),
  number(it.level === 0 ? '–' : figure(it.level)),
  isChosen ? html`<strong>certified, in force</strong>` : it.result,
]

export function segmentSection({ segments, certificate }: Report): Markup {
  if (segments === null)
    return section('segments', 'Segments', [
      paragraph(
        'The data were certified without segments, so nothing is known about parts of the traffic: one of them may be far worse than the whole. Name a column with --segment to see.',
      ),
    ])
  const applied =
    certificate.segment === null
      ? `what this certificate’s threshold, ${certificate.threshold}, does in each`
      : 'each at its own threshold; those without one are reviewed'
  return section('segments', 'Segments, worst first', [
    paragraph(
      `${count(segments.length)} segments, ${applied}. A promise for all events holds for their mix, not for each.`,
    ),
    table(
      [
        'segment',
        number('labels'),
        number('wrong in all'),
        number('executed'),
        number('wrong'),
        number('upper bound'),
        'by itself',
      ],
      segments.map((it) => ({
        kind: segmentKind(it, certificate.risk, certificate.segment),
        cells: segmentCells(it),
      })),
    ),
  ])
}

const segmentKind = (it: SegmentRow, risk: number, own: string | null): string =>
  [it.segment === own ? 'chosen' : '', it.executed > 0 && it.executedErrors / it.executed > risk ? 'failed' : '']
    .filter((name) => name !== '')
    .join(' ')

const segmentCells = (it: SegmentRow): readonly Cell[] => [
  it.segment,
  number(count(it.labels)),
  number(share(it.errors / it.labels)),
  number(it.executed === 0 ? '–' : share(it.executed / it.labels)),
  number(it.executed === 0 ? '–' : share(it.executedErrors / it.executed)),
  number(it.executed === 0 ? '–' : share(it.upperBound)),
  html`<span class="found">${it.own === null ? (it.refusal?.detail ?? 'refused') : `from ${it.own}`}</span>`,
]
