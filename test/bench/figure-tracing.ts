import { cpuPerEvent, drain, rateOf } from './drain.ts'
import { figure, least } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Drained } from './meter.ts'
import { openSink } from './otlp-sink.ts'
import type { Scene } from './scene.ts'

const BATCH = 1000
const EXECUTE_SHARE = '0.01'

/** Drains with traces of 1 % of the executes and of all others, and without any, in turns. */
export async function tracingFigures(scene: Scene): Promise<readonly Measured[]> {
  await using open = new AsyncDisposableStack()
  const sink = await openSink()
  open.defer(() => sink.close())
  const warm = Math.ceil(scene.events / 10)
  const input = await scene.preloaded(warm + scene.events)
  const task = { kind: 'pipeline', warm, events: scene.events, batch: BATCH } as const
  const traced = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    SLUICE_TRACE_EXECUTE_SHARE: EXECUTE_SHARE,
  }
  const [off, on]: [Drained[], Drained[]] = [[], []]
  for (let run = 0; run < scene.runs; run++) {
    off.push(await drain({ scene, input, task }))
    on.push(await drain({ scene, input, task, settings: traced }))
    scene.log(
      `  tracing: ${on.map((it) => Math.round(rateOf(it))).at(-1)} of ${off.map(rateOf).map(Math.round).at(-1)}`,
    )
  }
  const ratios = on.map((it, run) => rateOf(it) / (off.map(rateOf)[run] ?? Number.NaN))
  const cpu = on.map((it, run) => cpuPerEvent(it) / (off.map(cpuPerEvent)[run] ?? Number.NaN))
  const note = `${(sink.spans() / scene.runs).toLocaleString('en')} spans a run; what is beyond 500 decisions a second is not traced`
  return [
    figure('tracing on to off: events/s', '', ratios, least(0.95), note),
    figure('tracing on to off: CPU/event', '', cpu),
  ]
}
