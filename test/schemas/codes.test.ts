import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CODES } from '../../src/decision/codes.ts'
import { FAULTS } from '../../src/processor/fault.ts'

const readme = readFileSync(new URL('../../schemas/README.md', import.meta.url), 'utf8')

/** The rows of every table of the README whose head is `code | meaning`. */
const tables = readme
  .split('| code | meaning |\n|---|---|\n')
  .slice(1)
  .map((rest) =>
    Object.fromEntries(
      [...(rest.split('\n\n')[0] ?? '').matchAll(/^\| `(.+)` \| (.+) \|$/gm)].map((row) => [row[1], row[2]]),
    ),
  )

test('codes.json holds the codes of the source (after a change: vitest -u)', async () => {
  const text = `${JSON.stringify({ findings: CODES, faults: FAULTS }, null, 2)}\n`
  await expect(text).toMatchFileSnapshot('../../schemas/codes.json')
})

describe('the README', () => {
  test.each([
    ['findings', CODES, 0],
    ['faults', FAULTS, 1],
  ])('lists all %s with their meanings, in order', (_, codes, at) => {
    expect(Object.entries(tables[at] ?? {})).toEqual(Object.entries(codes))
  })

  test('names every header a dead letter has', () => {
    const emit = readFileSync(new URL('../../src/processor/emit.ts', import.meta.url), 'utf8')
    const names = [...emit.matchAll(/'(?:__connect\.errors|sluice\.error|ce_|content-)[\w.-]*'/g)].map((it) =>
      it[0].slice(1, -1),
    )
    expect(names.length).toBeGreaterThan(8)
    for (const name of names) expect(readme).toContain(name.replace(/^__connect\.errors(?!\.topic)/, ''))
  })
})
