/** The planted bugs; mutants.ts says what each does. */
export const MUTANT_NAMES = [
  'skip the fence',
  'reuse epoch and sequence after an error',
  'read the offsets without require_stable',
  'stamp the generation of delivery',
  'count outside the recorded facts',
  'clock in the evaluation',
  'resend on reconnect',
  'kafkajs’ own read_committed filter',
  'acknowledge before commit',
  'drop a dead letter’s reason',
  'reserve without token',
  'forget replayed facts at a changed batch boundary',
] as const

export type MutantName = (typeof MUTANT_NAMES)[number]
