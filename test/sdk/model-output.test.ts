import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { completeModelOutput, InvalidModelOutput } from '../../src/sdk/model-output.ts'
import type { ModelOutputInput } from '../../src/sdk/model-output.ts'

const least: ModelOutputInput = {
  source: '/moderation/eu',
  model: { name: 'moderator', version: '3' },
  action: 'listing.remove',
  subject: { type: 'listing', id: 'l-7' },
}

test('what may be left out gets the default of the schema', () => {
  const before = Date.now()
  const event = completeModelOutput(least)
  expect(event).toMatchObject({
    tenant: 'default',
    expiresAt: null,
    subject: { type: 'listing', id: 'l-7', owner: null },
    actor: null,
    confidence: null,
    scoreKind: 'probability',
    attributes: {},
    payload: null,
  })
  expect(event.time).toBeGreaterThanOrEqual(before)
  expect(event.id).toMatch(/^[0-9a-f-]{36}$/)
  expect(completeModelOutput(least).id).not.toBe(event.id)
})

test('has exactly the fields of the schema', () => {
  const schema = JSON.parse(readFileSync(new URL('../../schemas/model-output.avsc', import.meta.url), 'utf8')) as {
    fields: { name: string }[]
  }
  expect(Object.keys(completeModelOutput(least)).sort()).toEqual(schema.fields.map(({ name }) => name).sort())
})

test('what is given is kept, whatever the model’s score is', () => {
  const time = new Date('2030-01-02T03:04:05.678Z')
  const given = { ...least, id: 'e-1', time, expiresAt: 1_900_000_000_000, confidence: Number.NaN, tenant: 't' }
  expect(completeModelOutput(given)).toMatchObject({
    id: 'e-1',
    time: time.getTime(),
    expiresAt: 1_900_000_000_000,
    confidence: Number.NaN,
    tenant: 't',
  })
})

const broken: readonly (readonly [string, Partial<Record<keyof ModelOutputInput, unknown>>, string])[] = [
  ['an empty id', { id: '' }, 'id must'],
  ['no source', { source: undefined }, 'source must'],
  ['an empty action', { action: '' }, 'action must'],
  ['no model', { model: undefined }, 'model.name must'],
  ['a model without version', { model: { name: 'm' } }, 'model.version must'],
  ['no subject', { subject: undefined }, 'subject.type must'],
  ['a subject whose id is a number', { subject: { type: 'listing', id: 7 } }, 'subject.id must'],
  ['a time that is none', { time: new Date('never') }, 'time and expiresAt must'],
]

test.each(broken)('%s is refused before anything is sent', (_, change, problem) => {
  const input = { ...least, ...change } as ModelOutputInput
  expect(() => completeModelOutput(input)).toThrow(InvalidModelOutput)
  expect(() => completeModelOutput(input)).toThrow(problem)
})

test('all problems are named at once', () => {
  const input = { ...least, action: '', source: '', id: 'e-9' }
  expect(() => completeModelOutput(input)).toThrow(
    'model output e-9 was not sent: source must be a text that is not empty; action must be a text that is not empty',
  )
})
