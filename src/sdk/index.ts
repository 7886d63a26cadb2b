/**
 * What producers, executors and reviewers import. Everything here is at least once: events are known by their id,
 * verdicts by their decision id, actions by their action key.
 */
export { produceModelOutputs, ModelOutputsNotSent } from './produce-model-outputs.ts'
export type { ModelOutputProducer, ProduceOptions, Sent } from './produce-model-outputs.ts'
export { InvalidModelOutput } from './model-output.ts'
export type { ModelOutputInput, Moment } from './model-output.ts'
export { runExecutor } from './run-executor.ts'
export type { Execution, ExecutionHandler, ExecutorOptions } from './run-executor.ts'
export { readVerdicts, UnreadableVerdict } from './read-verdicts.ts'
export type { Delivery, ReadOptions, VerdictHandler } from './read-verdicts.ts'
export { reportOutcome, reportOutcomes } from './report-outcomes.ts'
export type { Judged, OutcomeInput, OutcomeOptions, OutcomeReporter } from './report-outcomes.ts'
export { NotSent } from '../kafka/producer.ts'
export type { Access, KafkaAccess, RegistryAccess } from './access.ts'
export type { Receipt } from './record-writer.ts'
export type { Attributes, AttributeValue, ModelOutput } from '../decision/event.ts'
export type { Route } from '../decision/route.ts'
export type { Finding, Verdict } from '../decision/verdict.ts'
