import { auditSection, mixSection } from './operation-sections.ts'
import { costSection, outlookSection } from './decision-sections.ts'
import { header, promiseSection, qualitySection } from './binding-sections.ts'
import { html } from './markup.ts'
import { reliabilitySection, riskSection, segmentSection, thresholdSection } from './statistics-sections.ts'
import type { Report } from './report.ts'
import { STYLE } from './style.ts'

/** The whole report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. */
export function pageOf(report: Report): string {
  const { model, action, segment } = report.certificate
  const title = `${model.name}@${model.version} ${action}${segment === null ? '' : `, ${segment}`}: certificate`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${{ markup: STYLE }}
        </style>
      </head>
      <body>
        <main>
          ${header(report)} ${promiseSection(report)} ${reliabilitySection(report)} ${riskSection(report)}
          ${thresholdSection(report)} ${segmentSection(report)} ${mixSection(report)} ${auditSection(report)}
          ${qualitySection(report)} ${costSection(report)} ${outlookSection(report)}
        </main>
      </body>
    </html> `.markup
}
