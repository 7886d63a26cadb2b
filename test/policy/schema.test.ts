import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadCalibration } from '../../src/policy/calibration-file.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { BAD_CALIBRATIONS, calibrationText } from './bad-calibrations.ts'
import { BAD_POLICIES } from './bad-policies.ts'
import { GOOD_POLICIES } from './good-policies.ts'
import { policyText, unmarked } from './written.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const validatorOf = (file: string) => new Ajv({ strictTypes: false, allErrors: true }).compile(JSON.parse(read(file)))

const isPolicy = validatorOf('schemas/policy.schema.json')
const isCalibration = validatorOf('schemas/calibration.schema.json')
const folder = readdirSync(new URL('../../deploy/policies', import.meta.url))

describe('the example files are fine for the editor and for the loader', () => {
  test.each(folder.filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml')))('%s', (name) => {
    const text = read(`deploy/policies/${name}`)
    expect(isPolicy(parse(text)), JSON.stringify(isPolicy.errors)).toBe(true)
    expect(loadPolicy(text, name)).toMatchObject({ kind: 'policy' })
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=../../schemas/policy.schema.json')
  })

  test.each(folder.filter((name) => name.endsWith('.calibration.json')))('%s', (name) => {
    const text = read(`deploy/policies/${name}`)
    expect(isCalibration(JSON.parse(text)), JSON.stringify(isCalibration.errors)).toBe(true)
    expect(loadCalibration(text, name)).toMatchObject({ kind: 'calibration' })
  })
})

describe('the policy schema and the loader agree', () => {
  test.each(GOOD_POLICIES)('good: $name', ({ text }) => {
    expect(isPolicy(parse(text)), JSON.stringify(isPolicy.errors)).toBe(true)
    expect(loadPolicy(text, 'p')).toMatchObject({ kind: 'policy' })
  })

  test.each(BAD_POLICIES.filter(({ schema }) => schema !== 'syntax'))('bad: $name ($schema)', ({ marked, schema }) => {
    const { text } = unmarked(marked)
    expect(isPolicy(parse(text))).toBe(schema === 'accepts')
    expect(loadPolicy(text, 'p')).toMatchObject({ kind: 'problems' })
  })
})

describe('the calibration schema and the loader agree', () => {
  test('good', () => {
    expect(isCalibration(parse(calibrationText()))).toBe(true)
    expect(loadCalibration(calibrationText(), 'c')).toMatchObject({ kind: 'calibration' })
  })

  test.each(BAD_CALIBRATIONS)('bad: $name ($schema)', ({ marked, schema }) => {
    const { text } = unmarked(marked)
    expect(isCalibration(parse(text))).toBe(schema === 'accepts')
    expect(loadCalibration(text, 'c')).toMatchObject({ kind: 'problems' })
  })
})

test('the good policy all others are made from is fine', () => {
  expect(loadPolicy(policyText(), 'p')).toMatchObject({ kind: 'policy' })
})
