import type { TopicNames } from '../../src/kafka/topics.ts'

/** Where an input record's one answer may lie. */
export const outputsOf = ({ execute, review, reject, deadLetters }: TopicNames): readonly string[] => [
  execute,
  review,
  reject,
  deadLetters,
]
