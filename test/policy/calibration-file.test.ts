import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calibrationProblem } from '../../src/decision/calibrate.ts'
import { loadCalibration } from '../../src/policy/calibration-file.ts'
import { BAD_CALIBRATIONS, calibrationText } from './bad-calibrations.ts'
import { unmarked } from './written.ts'

const sha = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

describe('a bad calibration file is refused, and each mistake is named where it is', () => {
  test.each(BAD_CALIBRATIONS)('$name', ({ marked, messages }) => {
    const { text, marks } = unmarked(marked)
    const loaded = loadCalibration(text, 'c.json')
    const problems = loaded.kind === 'problems' ? loaded.problems : []
    expect(problems.map(({ line, column, message }) => ({ line, column, message }))).toEqual(
      marks.map((mark, index) => ({ ...mark, message: messages[index] })),
    )
  })
})

test('a table keeps what is written; left out is every action, a probability, no expiry', () => {
  const text = calibrationText()
  expect(loadCalibration(text, 'c')).toEqual({
    kind: 'calibration',
    calibration: {
      text,
      digest: sha(text),
      tables: [
        {
          model: { name: 'm', version: '3' },
          action: null,
          scoreKind: 'probability',
          points: [
            [0, 0],
            [1, 1],
          ],
          interval: null,
          expiresAt: null,
          digest: sha(
            '{"action":null,"expiresAt":null,"model":{"name":"m","version":"3"},"points":[[0,0],[1,1]],"scoreKind":"probability"}',
          ),
        },
      ],
    },
  })
})

test('intervals are two lines over the raw score, and part of what the digest tells', () => {
  const read = (more: string) => {
    const loaded = loadCalibration(
      calibrationText(`model: { name: m, version: "3" }, points: [[0, 0], [1, 1]]${more}`),
      'c',
    )
    return loaded.kind === 'calibration' ? loaded.calibration.tables[0] : expect.fail(JSON.stringify(loaded.problems))
  }
  const table = read(', intervals: [[0.1, 0, 0.2], [0.9, 0.8, 1]]')
  expect(table?.interval).toEqual({
    low: [
      [0.1, 0],
      [0.9, 0.8],
    ],
    high: [
      [0.1, 0.2],
      [0.9, 1],
    ],
  })
  expect(table?.digest).not.toBe(read('')?.digest)
})

test('JSON indented with tabs is read, and expiry is milliseconds since 1970', () => {
  const table = {
    model: { version: '3', name: 'm' },
    points: [
      [0, 0],
      [1, 1],
    ],
    expiresAt: '2027-01-01T00:00:00.5Z',
  }
  const loaded = loadCalibration(JSON.stringify({ tables: [table] }, null, '\t'), 'c')
  expect(loaded).toMatchObject({ calibration: { tables: [{ expiresAt: Date.UTC(2027, 0, 1, 0, 0, 0, 500) }] } })
})

test('a table’s digest tells what it says, not how it is laid out', () => {
  const digestOf = (text: string): string | undefined => {
    const loaded = loadCalibration(text, 'c')
    return loaded.kind === 'calibration' ? loaded.calibration.tables[0]?.digest : undefined
  }
  const mine = digestOf(calibrationText())
  expect(mine).toBe(digestOf('{"tables":[{"points":[[0.0,0],[1,1]],"model":{"version":"3","name":"m"}}]}'))
  expect(mine).not.toBe(digestOf(calibrationText('model: { name: m, version: "4" }, points: [[0, 0], [1, 1]]')))
})

test('the loader takes exactly the points the decision can use', () => {
  const score = fc.oneof(fc.constantFrom(0, 0.5, 1, -0.1, 1.5), fc.double({ min: 0, max: 1, noNaN: true }))
  const anyPoints = fc.array(fc.tuple(score, score), { minLength: 1, maxLength: 5 })
  const sorted = anyPoints.map((points) => {
    const rising = (index: 0 | 1) => points.map((point) => point[index]).toSorted((a, b) => a - b)
    return rising(0).map((raw, index) => [raw, rising(1)[index] ?? 0] as const)
  })
  fc.assert(
    fc.property(fc.oneof(anyPoints, sorted), (points) => {
      const text = JSON.stringify({ tables: [{ model: { name: 'm', version: '3' }, points }] })
      expect(loadCalibration(text, 'c').kind).toBe(calibrationProblem(points) === null ? 'calibration' : 'problems')
    }),
  )
})
