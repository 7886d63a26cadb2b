import { describe, expect, test } from 'vitest'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { BAD_POLICIES } from './bad-policies.ts'
import { unmarked } from './written.ts'

describe('a bad policy is refused, and each mistake is named where it is', () => {
  test.each(BAD_POLICIES)('$name', ({ marked, messages }) => {
    const { text, marks } = unmarked(marked)
    const loaded = loadPolicy(text, 'shop.yaml')
    const problems = loaded.kind === 'problems' ? loaded.problems : []
    expect(problems.map(({ line, column, message }) => ({ line, column, message }))).toEqual(
      marks.map((mark, index) => ({ ...mark, message: messages[index] })),
    )
    for (const { file, hint } of problems)
      expect([file, hint]).toEqual(['shop.yaml', expect.stringMatching(/^[A-Z`].*[.?]$/u)])
  })
})
