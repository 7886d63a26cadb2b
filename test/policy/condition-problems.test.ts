import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDocument, stringify, type Scalar } from 'yaml'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { scalarOffsets } from '../../src/policy/scalar-offsets.ts'
import { BAD_CONDITIONS } from './bad-conditions.ts'
import { policyText, ruleText, unmarked } from './written.ts'

const problemsOf = (text: string) => {
  const loaded = loadPolicy(text, 'shop.yaml')
  return loaded.kind === 'problems' ? loaded.problems : []
}

describe('a bad condition is refused, and the mistake is named where it is', () => {
  test.each(BAD_CONDITIONS)('%s', (condition, message, hint) => {
    const { text, marks } = unmarked(policyText({ rules: ruleText(`|\n      ${condition}`) }))
    const [mark] = marks
    expect(problemsOf(text)).toEqual([{ file: 'shop.yaml', ...mark, message, hint: expect.stringContaining(hint) }])
  })
})

describe('the place is found however the condition is written in YAML', () => {
  const styles: readonly (readonly [style: string, when: string])[] = [
    ['plain', 'event.action != "a" && event.‸acton != "b"'],
    ['plain over two lines', 'event.action != "a"\n      && event.‸acton != "b"'],
    [
      'plain over lines with a gap',
      'event.action != "a"\n\n        && event.action != "c" &&\n      event.‸acton != "b"',
    ],
    ['single quotes', `'event.action != "it''s" && event.‸acton != "b"'`],
    ['single quotes over two lines', `'event.action != "a"\n        && event.‸acton != "b"'`],
    ['double quotes', '"event.action != \\"\\u0061\\" && event.‸acton != \\"b\\""'],
    ['double quotes with a continued line', '"event.action != \\"a\\" \\\n      && event.‸acton != \\"b\\""'],
    ['a literal block', '|\n      event.action != "a"\n        && event.‸acton != "b"'],
    [
      'a literal block with indicators and comment',
      '|2- # why\n        event.action != "a"\n\n        && event.‸acton != "b"',
    ],
    ['a folded block', '>\n      event.action != "a"\n      && event.‸acton != "b"\n'],
    [
      'a folded block with deeper lines',
      '>-\n      event.action != "a"\n\n        && event.action != "c"\n      && event.‸acton != "b"',
    ],
  ]
  test.each(styles)('%s', (_style, when) => {
    const { text, marks } = unmarked(policyText({ rules: ruleText(when) }))
    expect(problemsOf(text)).toMatchObject([{ ...marks[0], message: '`event` has no `acton`' }])
  })

  test('with line ends of Windows', () => {
    const { text, marks } = unmarked(
      policyText({ rules: ruleText('|\n      event.action != "a"\n      && event.‸acton != "b"') }),
    )
    expect(problemsOf(text.replaceAll('\n', '\r\n'))).toMatchObject([marks[0]])
  })
})

test('every character of a scalar that is written as itself is found where it stands', () => {
  const character = fc.constantFrom(...'ab "\'\\:#-\n é😀'.split(/(?:)/u))
  const words = fc.array(character, { minLength: 1, maxLength: 40 }).map((characters) => characters.join(''))
  const style = fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED')
  fc.assert(
    fc.property(words, style, fc.integer({ min: 20, max: 80 }), (value, defaultStringType, lineWidth) => {
      const text = stringify({ deep: { key: value } }, { defaultStringType, lineWidth })
      const scalar = parseDocument(text).getIn(['deep', 'key'], true) as Scalar<string>
      const offsets = scalarOffsets(text, scalar.range?.[0] ?? 0, scalar.type ?? 'PLAIN', value)
      expect(offsets).toHaveLength(value.length + 1)
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
      for (const [index, unit] of value.split('').entries())
        if (!/[\s"'\\]/u.test(unit) && text[offsets[index] ?? 0] !== '\\') expect(text[offsets[index] ?? 0]).toBe(unit)
    }),
  )
})

test('all mistakes of all rules are named at once, in the order of the file', () => {
  const { text, marks } = unmarked(
    policyText({
      rules: ruleText(
        'event.‸acton == "a"',
        '  - { id: ‸R, when: "event.‸tnant == 1", route: ‸pass, code: policy.r, because: why }\n',
      ),
    }),
  )
  expect(problemsOf(text).map(({ line, column }) => ({ line, column }))).toEqual(marks)
})
