import { labelsNeeded } from '../calibration/binomial.ts'
import { stabilityIndex } from '../calibration/stability-index.ts'
import { percent } from '../decision/words.ts'
import type { Basis } from './report.ts'
import { count } from './words.ts'

/** What was looked at in the data, what was found, and whether somebody should look. */
export type QualityNote = { readonly what: string; readonly found: string; readonly state: 'fine' | 'look' }

export const qualityOf = (basis: Basis): readonly QualityNote[] => [
  scoresNote('labelled rows', basis.labelled),
  scoresNote('unlabelled rows', basis.unlabelled),
  independenceNote(basis),
  labelsNote(basis),
  errorsNote(basis),
  distinctNote(basis),
  driftNote(basis),
  sameFileNote(basis),
  windowNote(basis),
]

const note = (what: string, isFine: boolean, found: string): QualityNote => ({
  what,
  found,
  state: isFine ? 'fine' : 'look',
})

const scoresNote = (what: string, { rows, withoutScore }: { rows: number; withoutScore: number }): QualityNote =>
  note(
    what,
    withoutScore === 0,
    withoutScore === 0
      ? `${count(rows)} read, all with a score between 0 and 1`
      : `${count(rows)} read; ${count(withoutScore)} (${percent(withoutScore / rows)}) have no score between 0 and 1 and were left out`,
  )

const independenceNote = ({ certificate, labelled }: Basis): QualityNote =>
  certificate.clusters === null
    ? note(
        'independence',
        false,
        'rows were taken as independent; if one customer or thread gives many of them, the promise does not hold: certify by cluster',
      )
    : note(
        'independence',
        true,
        `${count(labelled.data.sample.scores.length)} rows of ${count(certificate.clusters)} clusters; one random row of each counts`,
      )

function labelsNote({ part }: Basis): QualityNote {
  const { right } = part.sample
  const share = right.reduce((sum, it) => sum + it, 0) / right.length
  return note('labels', share > 0 && share < 1, `${count(right.length)} count, ${percent(share)} of them right`)
}

function errorsNote({ certificate }: Basis): QualityNote {
  const { labelledErrors, labelledExecuted, risk } = certificate
  const needed = labelsNeeded(risk, 1 - certificate.assurance, labelledErrors)
  return labelledErrors === 0
    ? note('errors above the threshold', false, 'none: make sure that the label column can show one')
    : note(
        'errors above the threshold',
        true,
        `${count(labelledErrors)} among ${count(labelledExecuted)} labels; with so many errors ${count(needed)} are the least that certify ${percent(risk)}`,
      )
}

function distinctNote({ part }: Basis): QualityNote {
  const counts = new Map<number, number>()
  for (const score of part.scores) counts.set(score, (counts.get(score) ?? 0) + 1)
  const [common, rows] = [...counts].reduce((most, it) => (it[1] > most[1] ? it : most), [Number.NaN, 0])
  return note(
    'distinct scores',
    counts.size > 32,
    `${count(counts.size)} among ${count(part.scores.length)} unlabelled rows; the most common, ${common}, is ${percent(rows / part.scores.length)} of them`,
  )
}

/** If nothing differs the index goes as chi-squared with one degree of freedom less than bins, 9. */
const CHI_SQUARED_95 = 16.918_977_604_620_45

/** A hint only: that labelled and unlabelled rows differ by more than chance does not yet make a promise wrong. */
function driftNote({ part }: Basis): QualityNote {
  const index = stabilityIndex(part.sample.scores, part.scores)
  const rows = 1 / part.sample.scores.length + 1 / part.scores.length
  const byChance = CHI_SQUARED_95 * rows
  return note(
    'labelled against unlabelled scores',
    index <= byChance,
    `population stability index ${index.toFixed(4)}; chance alone stays below ${byChance.toFixed(4)} in 95 % of cases`,
  )
}

const sameFileNote = ({ certificate: { dataDigest } }: Basis): QualityNote =>
  dataDigest.labelled === dataDigest.unlabelled
    ? note(
        'thresholds',
        false,
        'both files are the same; thresholds should be laid out by scores seen before the labelled ones',
      )
    : note('thresholds', true, 'laid out by another file than the one that is labelled')

const windowNote = ({ certificate: { window } }: Basis): QualityNote =>
  window === null
    ? note('window', false, 'the labelled rows have no times, so nobody can tell how old they are')
    : note('window', true, `labelled rows from ${window.from} to ${window.to}`)
