import { createRecords } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import { percent } from '../decision/words.ts'
import { ALARM_AT, evidenceOf } from '../calibration/risk-watch.ts'
import { ConfigError, readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions } from '../connections.ts'
import { LogLookup } from '../kafka/lookup.ts'
import { readCheckpoint } from '../monitor/checkpoint.ts'
import type { Checkpoint, Withdrawal } from '../monitor/checkpoint.ts'
import { openCheckpoint, runMonitor } from '../monitor/run-monitor.ts'
import { readExecution, readReport } from '../monitor/watched-records.ts'
import { reasonOf } from '../monitor/withdrawals.ts'
import { digestOf } from '../policy/digest.ts'
import { errorsToAlarm, provenThreshold } from '../watch/certificate-watch.ts'
import type { CertificateWatch } from '../watch/certificate-watch.ts'
import { UNWATCHED } from '../watch/execution.ts'
import { stateText } from '../watch/state-text.ts'
import { NOTHING_WATCHED, Watch } from '../watch/watch.ts'
import { untilInterrupted } from './interrupt.ts'
import { readToolConfig } from './tool-config.ts'

/** `sluice monitor`: watches executed risk until SIGTERM or SIGINT. A parent that listens is told where its pages are. */
export async function monitor(file: string | undefined): Promise<number> {
  using interrupt = untilInterrupted()
  await runMonitor(readConfig(file), interrupt.signal, (http) => process.send?.({ http }))
  return 0
}

/** One certificate as `sluice monitor status --json` has it. Times are ISO 8601. */
type CertificateStatus = {
  readonly certificate: string
  readonly segment: string | null
  readonly risk: number
  readonly evidence: number
  readonly alarmAt: number
  /** Errors in a row that would raise the alarm from here. */
  readonly errorsToAlarm: number
  readonly counted: number
  readonly errors: number
  readonly missing: number
  readonly failed: number
  readonly repeated: number
  readonly contradicting: number
  readonly immature: number
  /** Of all audited executions seen. */
  readonly immatureShare: number
  readonly auditShareMin: number
  /** The loosest threshold that these outcomes prove by themselves, at any time; null: none yet. */
  readonly proven: number | null
  readonly withdrawn: { readonly at: string; readonly reason: string } | null
}

/** `sluice monitor status`: where each certificate stands. Answers 1 where no monitor has counted anything yet. */
export async function monitorStatus(file: string | undefined, options: { readonly json: boolean }): Promise<number> {
  const last = await lastCheckpoint(readToolConfig(file))
  if (last === null) {
    console.error('sluice monitor status: nothing is known: no `sluice monitor` of this deployment has counted yet')
    return 1
  }
  const certificates = statusesOf(last)
  const { rules, boundary } = last.state
  if (options.json) {
    const { stragglers, unwatched } = last
    const head = { countedUpTo: iso(boundary), writtenAt: iso(last.writtenAt), ...rules, stragglers, unwatched }
    console.log(JSON.stringify({ ...head, certificates }, null, 2))
    return 0
  }
  const unwatched = last.unwatched.flatMap((certificate) => ['', `${certificate} ${UNWATCHED}`])
  for (const line of [...headLines(last), ...certificates.flatMap(statusLines), ...unwatched]) console.log(line)
  return 0
}

async function lastCheckpoint(config: Config): Promise<Checkpoint | null> {
  if (config.origins.get('REDIS_URL') === 'running stack' && config.REDIS_URL === 'redis://none')
    throw new ConfigError(['REDIS_URL is not set: the monitor keeps there what it knows'])
  const kept = openCheckpoint(config)
  try {
    const text = await kept.read()
    return text === null ? null : readCheckpoint(text)
  } finally {
    kept.close()
  }
}

/** The immature ones of certificates of which nothing is of full age yet are shown as well. */
function statusesOf({ state, immature, withdrawals }: Checkpoint): readonly CertificateStatus[] {
  return state.certificates.map((watch) => {
    const last = withdrawals.findLast(({ certificate }) => certificate === watch.certificate)
    return statusOf(watch, immature.get(watch.certificate) ?? 0, last)
  })
}

function statusOf(watch: CertificateWatch, immature: number, last: Withdrawal | undefined): CertificateStatus {
  const { certificate, segment, risk, counted, errors, missing, failed, repeated, contradicting, detector } = watch
  const seen = counted + failed + immature
  return {
    certificate,
    segment,
    risk,
    evidence: evidenceOf(detector),
    alarmAt: ALARM_AT,
    errorsToAlarm: errorsToAlarm(watch),
    counted,
    errors,
    missing,
    failed,
    repeated,
    contradicting,
    immature,
    immatureShare: seen === 0 ? 0 : immature / seen,
    auditShareMin: detector.propensityMin,
    proven: provenThreshold(watch),
    withdrawn: last === undefined ? null : { at: iso(last.at), reason: reasonOf(last) },
  }
}

function headLines({ state, immature, stragglers, writtenAt }: Checkpoint): readonly string[] {
  const { rules, boundary, certificates } = state
  const waiting = [...immature.values()].reduce((sum, it) => sum + it, 0)
  const silentS = Math.round((Date.now() - writtenAt) / 1000)
  return [
    `counted up to ${iso(boundary)}, executions at the age of ${spanOf(rules.maturityMs)}, without a label by then: ${rules.missing}`,
    ...(silentS > 30 ? [`no monitor has counted for ${silentS} s: does one run?`] : []),
    ...(certificates.length === 0
      ? [`no audited execution on a certificate is of full age; ${waiting} are waiting`]
      : []),
    ...(stragglers > 0 ? [`${stragglers} executions came when their age was counted already, and are left out`] : []),
  ]
}

function statusLines(it: CertificateStatus): readonly string[] {
  const segment = it.segment === null ? '' : ` (${it.segment})`
  const share = it.counted === 0 ? 'none' : percent(it.errors / it.counted)
  const noted = [
    [it.missing, 'without a label'],
    [it.failed, 'not done'],
    [it.repeated, 'labels said again'],
    [it.contradicting, 'contradicted'],
  ].flatMap(([count, what]) => (Number(count) > 0 ? `${count} ${what}` : []))
  return [
    '',
    `${it.certificate}${segment}: at most ${percent(it.risk)} wrong`,
    `  evidence   ${it.evidence.toPrecision(4)} of ${it.alarmAt}: ${it.errorsToAlarm} errors in a row would withdraw it`,
    `  outcomes   ${it.counted} counted, ${it.errors} wrong (${share})${noted.length === 0 ? '' : `; ${noted.join(', ')}`}`,
    `  immature   ${it.immature} audited executions (${percent(it.immatureShare)}); smallest audit share ${percent(it.auditShareMin)}`,
    `  proven     ${it.proven === null ? 'nothing by these outcomes alone yet' : `by these outcomes alone from a score of ${it.proven}`}`,
    ...(it.withdrawn === null ? [] : [`  withdrawn  ${it.withdrawn.at}: ${it.withdrawn.reason}`]),
  ]
}

/**
 * `sluice monitor replay`: counts everything in the topics anew, up to where the monitor has counted, and holds the outcome
 * to the bytes that the monitor keeps. Answers 0 where they are the same, else 1.
 */
export async function monitorReplay(file: string | undefined): Promise<number> {
  const config = readToolConfig(file)
  const last = await lastCheckpoint(config)
  if (last === null) {
    console.error('sluice monitor replay: no `sluice monitor` of this deployment has counted yet')
    return 1
  }
  const again = await replayed(config, last)
  const [kept, text] = [stateText(last.state), stateText(again.state)]
  const upTo = `up to ${iso(last.state.boundary)}`
  if (kept === text) {
    console.log(`the same ${kept.length} bytes ${upTo}: ${digestOf(kept)}`)
    return 0
  }
  console.error(
    `the topics give another state ${upTo}: ${digestOf(text)} instead of ${digestOf(kept)}; ` +
      (last.stragglers > 0
        ? `${last.stragglers} executions came too late for the monitor`
        : 'has retention deleted some?'),
  )
  return 1
}

async function replayed(config: Config, { state }: Checkpoint): Promise<Watch> {
  await using open = new AsyncDisposableStack()
  const lookup = new LogLookup(kafkaConnection(config))
  open.defer(() => lookup.close())
  const registry = await openRegistry(registryOptions(config, () => undefined))
  open.defer(() => registry.close())
  const records = createRecords(registry, config.SLUICE_MAX_VERDICT_BYTES)
  const watch = new Watch(NOTHING_WATCHED(state.rules))
  const all = (topic: string) => [{ topic, partition: null, since: null }]
  await lookup.find(all(config.TOPIC_EXECUTE), async (record) => {
    const read = await readExecution(records, record)
    if (read.kind === 'value' && read.value !== null && !('unwatched' in read.value)) watch.execute(read.value)
    return false
  })
  await lookup.find(all(config.TOPIC_OUTCOMES), async (record) => {
    const read = await readReport(records, record)
    if (read.kind === 'value' && read.value !== null) watch.report(read.value)
    return false
  })
  watch.advance(state.boundary)
  return watch
}

const iso = (ms: number): string => new Date(ms).toISOString()

function spanOf(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const
  const [unit, length] = units.find(([, length]) => ms >= length && ms % length === 0) ?? ['ms', 1]
  return `${ms / length}${unit}`
}
