export const calibrationText = (table = 'model: { name: m, version: "3" }, points: [[0, 0], [1, 1]]'): string =>
  `tables:\n  - { ${table} }\n`

export type BadCalibration = {
  readonly name: string
  readonly marked: string
  readonly messages: readonly string[]
  readonly schema: 'rejects' | 'accepts'
}

const bad = (
  name: string,
  schema: BadCalibration['schema'],
  marked: string,
  ...messages: readonly string[]
): BadCalibration => ({ name, schema, marked, messages })

const MODEL = 'model: { name: m, version: "3" }'
const points = (list: string): string => calibrationText(`${MODEL}, points: ${list}`)

export const BAD_CALIBRATIONS: readonly BadCalibration[] = [
  bad('no tables', 'rejects', '‸$schema: x\n', 'the calibration needs `tables`'),
  bad('an empty list of tables', 'rejects', 'tables: ‸[]\n', '`tables` has 0 entries'),
  bad(
    'a misspelt setting',
    'rejects',
    'tables:\n  - { model: { name: m, version: "3" }, ‸ponts: [] , points: [[0, 0], [1, 1]] }\n',
    'an entry of `tables` has no setting `ponts`',
  ),
  bad(
    'a number as version',
    'rejects',
    calibrationText('model: { name: m, version: ‸3 }, points: [[0, 0], [1, 1]]'),
    '`version` must be a text',
  ),
  bad('one point', 'rejects', points('‸[[0, 0]]'), '`points` has 1 entry'),
  bad('a point of one number', 'rejects', points('[‸[0], [1, 1]]'), 'a point needs two numbers'),
  bad('a point of three numbers', 'rejects', points('[‸[0, 0, 0], [1, 1]]'), 'a point needs two numbers'),
  bad('a raw score above 1', 'rejects', points('[[0, 0], [‸2, 1]]'), 'an entry of `points` cannot be 2'),
  bad(
    'a calibrated score that is no number',
    'rejects',
    points('[[0, 0], [1, ‸.nan]]'),
    'an entry of `points` cannot be NaN',
  ),
  bad('raw scores that stand still', 'accepts', points('[[0, 0], ‸[0, 1]]'), 'the raw score 0 does not follow 0'),
  bad(
    'calibrated scores that fall',
    'accepts',
    points('[[0, 0.5], ‸[1, 0.4]]'),
    'the calibrated score falls from 0.5 to 0.4',
  ),
  bad(
    'an interval of two numbers',
    'rejects',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], intervals: [‸[0, 0], [1, 0, 1]]`),
    'an interval needs three numbers',
  ),
  bad(
    'an interval upside down',
    'accepts',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], intervals: [‸[0, 0.2, 0.1], [1, 0, 1]]`),
    'the lower end 0.2 is above the upper end 0.1',
  ),
  bad(
    'intervals whose upper end falls',
    'accepts',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], intervals: [[0, 0, 1], ‸[1, 0, 0.9]]`),
    'the calibrated score falls from 1 to 0.9',
  ),
  bad(
    'intervals whose raw scores stand still',
    'accepts',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], intervals: [[0, 0, 1], ‸[0, 0, 1]]`),
    'the raw score 0 does not follow 0',
  ),
  bad(
    'a date without time',
    'rejects',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], expiresAt: ‸"2027-01-01"`),
    '`2027-01-01` cannot be `expiresAt`',
  ),
  bad(
    'a date that does not exist',
    'accepts',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], expiresAt: ‸"2027-13-01T00:00:00Z"`),
    '`2027-13-01T00:00:00Z` is no date',
  ),
  bad(
    'a fit that is no mapping',
    'rejects',
    calibrationText(`${MODEL}, points: [[0, 0], [1, 1]], fit: ‸isotonic`),
    '`fit` must be a mapping',
  ),
  bad(
    'two tables for the same scores',
    'accepts',
    `${calibrationText()}  - ‸{ ${MODEL}, scoreKind: probability, points: [[0, 0.1], [1, 1]] }\n`,
    'this table is for the same scores as an earlier one',
  ),
]
