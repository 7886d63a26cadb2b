import { readOptions, wholeNumber } from '../arguments.ts'
import { fuzz } from './fuzz.ts'

const HELP = `npm run poison -- --inputs N [--seed S] [--json]

Hostile records through decode, decide and encode. Exit code 1 when one crashed, took longer than 50 ms, or became neither
a verdict nor a dead letter.

  --inputs N  how many                     (1000000)
  --seed S    which                        (1)
  --json      print the result as JSON
`

const OPTIONS = {
  inputs: { type: 'string', default: '1000000' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
} as const

const values = readOptions(OPTIONS, HELP)

const HANG_MS = 50
const began = performance.now()
const fuzzed = await fuzz(wholeNumber('inputs', values.inputs), wholeNumber('seed', values.seed), (done) => {
  if (!values.json && done % 1_000_000 === 0) console.log(`${done.toLocaleString('en')} inputs`)
})
const result = {
  inputs: fuzzed.inputs,
  verdicts: Object.fromEntries(fuzzed.verdicts),
  deadLetters: Object.fromEntries(fuzzed.deadLetters),
  unaccounted: fuzzed.inputs - sumOf(fuzzed.verdicts) - sumOf(fuzzed.deadLetters),
  crashed: fuzzed.crashed,
  crashes: fuzzed.crashes,
  slowestMs: Number(fuzzed.slowestMs.toFixed(3)),
  slowest: fuzzed.slowestMs > HANG_MS ? fuzzed.slowest : null,
  seconds: Math.round((performance.now() - began) / 1000),
  residentMb: Math.round(process.resourceUsage().maxRSS / 1024),
}
console.log(JSON.stringify(result, null, 2))
process.exitCode = result.unaccounted === 0 && result.crashed === 0 && result.slowestMs <= HANG_MS ? 0 : 1

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((a, b) => a + b, 0)
}
