import { percent } from '../decision/words.ts'
import { html, type Markup } from './markup.ts'
import type { Report } from './report.ts'
import { section, table } from './section.ts'
import { count, share } from './words.ts'

/** What the certificate is, and all that it is bound to: a change of any of it ends it. */
export function header({ certificate: it }: Report): Markup {
  const facts: readonly (readonly [string, string])[] = [
    ['model', `${it.model.name}, version ${it.model.version}`],
    ['action', it.action],
    ['score kind', it.scoreKind],
    ['segment', it.segment ?? 'all events, in the mix of the window'],
    ['execute from', String(it.threshold)],
    ['allowed', `${percent(it.risk)} wrong of ${it.budget === 'per-event' ? 'all events' : 'what is executed'}`],
    ['assurance', percent(it.assurance)],
    ['labels', `${count(it.labels)}${it.clusters === null ? '' : `, one of each of ${count(it.clusters)} clusters`}`],
    ['window', it.window === null ? 'not given' : `${it.window.from} to ${it.window.to}`],
    ['issued', it.issuedAt],
    ['expires', it.expiresAt],
    ['grid', `${it.grid.size} thresholds, ${it.grid.hash}`],
    ['labelled data', it.dataDigest.labelled],
    ['unlabelled data', it.dataDigest.unlabelled],
  ]
  return html`<header>
    <p class="kind">Certificate ${it.id}</p>
    <h1>
      ${it.model.name}@${it.model.version} <span>${it.action}${it.segment === null ? '' : `, ${it.segment}`}</span>
    </h1>
    <ul class="tiles">
      ${tile('executed', share(it.coverage), 'of the traffic')}
      ${tile('wrong among executed', share(it.labelledErrors / it.labelledExecuted), `${count(it.labelledErrors)} of ${count(it.labelledExecuted)} labels`)}
      ${tile('upper bound', share(it.upperBound), `allowed ${percent(it.risk)}`)}
      ${tile('execute from', String(it.threshold), `${it.scoreKind}, raw score`)}
    </ul>
    <dl>
      ${facts.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </header>`
}

const tile = (name: string, value: string, more: string): Markup =>
  html`<li><span class="name">${name}</span><strong>${value}</strong><span>${more}</span></li>`

export const promiseSection = ({ certificate: { promise } }: Report): Markup =>
  html`<section id="promise">
    <h2>The promise</h2>
    <p class="promise">${promise}</p>
  </section>`

export const qualitySection = ({ quality }: Report): Markup =>
  section('quality', 'Data quality', [
    table(
      ['what', 'found', ''],
      quality.map(({ what, found, state }) => ({
        kind: state,
        cells: [what, html`<span class="found">${found}</span>`, html`<span class="state ${state}">${state}</span>`],
      })),
    ),
  ])
