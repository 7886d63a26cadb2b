import { readOptions, wholeNumber } from '../arguments.ts'
import { accept, BROKEN_MAX, DRAWS, type Acceptance, type Tally, type Way } from '../calibration/acceptance.ts'
import { SERIES, seriesOf } from '../calibration/series.ts'

const HELP = `npm run bench:calibration -- [--only NAME] [--draws N]

The acceptance table of certification: how often thresholds chosen from 5,000 labels break what they promise.

  --only NAME  only series with this in their name
  --draws N    draws of labels a series                                             (${DRAWS})
`

const OPTIONS = {
  only: { type: 'string', default: '' },
  draws: { type: 'string', default: String(DRAWS) },
} as const

const values = readOptions(OPTIONS, HELP)
const draws = wholeNumber('draws', values.draws)
const risks = [0.01, 0.05, 0.1]

type Row = { readonly name: string; readonly risk: number; readonly result: Acceptance }

const cell = ({ broken, coverage }: Tally): string =>
  `${String(broken).padStart(4)} ${(100 * coverage).toFixed(1).padStart(6)} %`
const line = ({ name, risk, result }: Row): string =>
  `${name.padEnd(44)} ${String(100 * risk).padStart(3)} %  ${cell(result.certified)}   ${cell(result.reference)}   ` +
  `${cell(result.rawScore)}   ${cell(result.isotonicMean)}   ${(100 * result.oracle).toFixed(1).padStart(6)} %`

console.log(`Broken promises among ${draws} draws of 5,000 labels with replacement, and the mean share executed.`)
console.log(`${''.padEnd(52)}certified       reference       raw score       isotonic mean    oracle`)
const rows: Row[] = []
for (const [name] of SERIES.filter(([name]) => name.includes(values.only)))
  for (const risk of risks) {
    const row = { name, risk, result: accept(seriesOf(name).sample, risk, 1, draws) }
    rows.push(row)
    console.log(line(row))
  }

/** Series in which a gate is worth having. */
const usable = rows.filter(({ result }) => result.oracle >= 0.05)
const sum = (values: readonly number[]): number => values.reduce((sum, it) => sum + it, 0)
const mean = (values: readonly number[]): number => sum(values) / values.length
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

console.log(`
Over the series of which at least 5 % could be executed if all labels were known. "Of all that could be executed" weighs
series by what could be; "per series" is the mean of each one's own share, in which those count the same of which so little
could be executed that 5,000 labels hardly reach it.`)
for (const risk of risks) {
  const of = usable.filter((row) => row.risk === risk).map(({ result }) => result)
  const broken = (way: Way): string => percent(mean(of.map((it) => it[way].broken)) / draws)
  const kept = (way: Way): string => {
    const shares = of.map((it) => it[way].coverage)
    const perSeries = mean(of.map((it, index) => (shares[index] ?? NaN) / it.oracle))
    return `${percent(sum(shares) / sum(of.map(({ oracle }) => oracle)))} of all that could be executed, ${percent(perSeries)} per series`
  }
  console.log(
    `${String(100 * risk).padStart(3)} %, ${of.length} series: broken by certified ${broken('certified')}, raw score ` +
      `${broken('rawScore')}, isotonic mean ${broken('isotonicMean')}\n      certified executes ${kept('certified')}`,
  )
}
const worst = Math.max(...rows.map(({ result }) => result.certified.broken))
const kept = rows.every(({ result }) => result.certified.coverage >= 0.95 * result.reference.coverage)
console.log(
  `\nat most ${BROKEN_MAX} broken of ${DRAWS}: worst ${worst}; coverage at least 0.95 of the reference: ${kept}`,
)
process.exitCode = worst <= BROKEN_MAX && kept ? 0 : 1
