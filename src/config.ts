import { readFileSync } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { nearest } from './policy/nearest.ts'
import { SETTINGS } from './settings.ts'
import type { Setting, SettingName, Settings } from './settings.ts'

/** Where a setting's value came from. */
export type Origin = 'default' | 'running stack' | 'file' | 'environment' | 'not set'

/** All settings, checked and frozen, and where each came from. */
export type Config = Settings & { readonly origins: ReadonlyMap<SettingName, Origin> }

const TO_SET =
  '\nSet what is missing in the environment, or in a file that --config names; `sluice config` lists all settings.'

/** Every problem at once, one sentence each. Its message is what a user should see: no stack trace. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(
      `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n` +
        problems.map((it) => `  - ${it}`).join('\n') +
        (problems.some((it) => / is not set: /.test(it)) ? TO_SET : ''),
    )
    this.problems = problems
  }
}

const NAMES = Object.keys(SETTINGS) as readonly SettingName[]
const isName = (name: string): name is SettingName => Object.hasOwn(SETTINGS, name)

type Values = ReadonlyMap<SettingName, string>

/**
 * Reads the environment over the file (YAML, the same names), so that the environment wins. `NAME_FILE` gives a file
 * that holds the value, for secrets. `fallback` is what a running local stack says of itself and counts least. Throws
 * ConfigError naming every problem.
 */
export function readConfig(
  file: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  fallback: Values = new Map(),
): Config {
  const { settings, problems, sources } = gather(file, env, fallback)
  if (settings === null || problems.length > 0) throw new ConfigError(problems)
  const origins = new Map(NAMES.map((name) => [name, originOf(name, settings[name], sources)]))
  return Object.freeze({ ...settings, origins })
}

/** `settings` is null where one has no value it may have. */
type Gathered = {
  readonly settings: Settings | null
  readonly problems: readonly string[]
  readonly sources: readonly Values[]
}

function gather(file: string | undefined, env: NodeJS.ProcessEnv, fallback: Values): Gathered {
  const problems: string[] = []
  const fromFile = file === undefined ? new Map<SettingName, string>() : readFile(file, problems)
  const fromEnv = readEnv(env, problems)
  const settings = check(new Map([...fallback, ...fromFile, ...fromEnv]), problems)
  if (settings !== null) problems.push(...contradictions(settings))
  return { settings, problems, sources: [fromEnv, fromFile, fallback] }
}

const SOURCES = ['environment', 'file', 'running stack'] as const

/** `sources` in the order of SOURCES, the first that has a name wins. */
function originOf(name: SettingName, value: unknown, sources: readonly Values[]): Origin {
  const at = sources.findIndex((source) => source.has(name))
  return SOURCES[at] ?? (value === undefined ? 'not set' : 'default')
}

function readEnv(env: NodeJS.ProcessEnv, problems: string[]): Values {
  const values = new Map<SettingName, string>()
  for (const name of NAMES) {
    const direct = env[name]
    const viaFile = env[`${name}_FILE`]
    if (direct !== undefined && viaFile !== undefined) problems.push(`${name}: set ${name} or ${name}_FILE, not both`)
    if (direct !== undefined && direct !== '') values.set(name, direct)
    else if (viaFile !== undefined) readSecret(name, viaFile, values, problems)
  }
  return values
}

function readSecret(name: SettingName, path: string, values: Map<SettingName, string>, problems: string[]): void {
  try {
    values.set(name, readFileSync(path, 'utf8').trimEnd())
  } catch (error) {
    problems.push(`${name}_FILE: cannot read ${path}: ${reasonOf(error)}`)
  }
}

function readFile(path: string, problems: string[]): Values {
  const values = new Map<SettingName, string>()
  const content = parseFile(path, problems)
  for (const [name, value] of Object.entries(content)) {
    if (!isName(name)) problems.push(`${path}: unknown setting ${name}; ${hint(name)}`)
    else if (!['string', 'number', 'boolean'].includes(typeof value))
      problems.push(`${path}: ${name} must be a text, a number, true or false`)
    else values.set(name, String(value))
  }
  return values
}

function hint(name: string): string {
  const known = nearest(name.toUpperCase(), NAMES)
  return known === null ? '`sluice config` lists all' : `did you mean ${known}?`
}

function parseFile(path: string, problems: string[]): Readonly<Record<string, unknown>> {
  try {
    const content: unknown = parse(readFileSync(path, 'utf8'))
    if (content === null || content === undefined) return {}
    if (typeof content === 'object' && !Array.isArray(content)) return content as Record<string, unknown>
    problems.push(`${path}: must be a list of NAME: value lines`)
  } catch (error) {
    const where = error instanceof YAMLParseError ? `:${error.linePos?.[0].line ?? 1}` : ''
    problems.push(`cannot read ${path}${where}: ${reasonOf(error)}`)
  }
  return {}
}

/** In words, without the code, path and place that Node and the YAML parser repeat. */
const reasonOf = (error: unknown): string =>
  error instanceof Error
    ? (error.message.split('\n')[0] ?? '').replace(/^E[A-Z]+: /, '').replace(/, \w+( '.*')?$| at line \d+.*$/, '')
    : String(error)

function check(values: Values, problems: string[]): Settings | null {
  const shape = Object.fromEntries(NAMES.map((name) => [name, SETTINGS[name].schema]))
  const result = z.object(shape).safeParse(Object.fromEntries(values))
  if (result.success) return result.data as Settings
  for (const issue of result.error.issues) problems.push(problemOf(issue, values))
  return null
}

function problemOf(issue: z.core.$ZodIssue, values: Values): string {
  const name = String(issue.path[0]) as SettingName
  const setting: Setting = SETTINGS[name]
  const value = values.get(name)
  if (value === undefined) return `${name} is not set: ${setting.doc}`
  return `${name}: ${issue.message}; it is ${setting.secret ? '(hidden)' : JSON.stringify(value)}`
}

/** What each setting allows but all together do not. */
function contradictions(it: Settings): readonly string[] {
  const problems: string[] = []
  const need = (holds: boolean, problem: string): void => void (holds || problems.push(problem))
  const sasl = [it.KAFKA_SASL_MECHANISM, it.KAFKA_SASL_USERNAME, it.KAFKA_SASL_PASSWORD]
  need(
    sasl.every((part) => part === undefined) || sasl.every((part) => part !== undefined),
    'KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD go together: set all three or none',
  )
  need(
    (it.KAFKA_SSL_CERT === undefined) === (it.KAFKA_SSL_KEY === undefined),
    'KAFKA_SSL_CERT and KAFKA_SSL_KEY go together',
  )
  need(
    it.KAFKA_SSL || (it.KAFKA_SSL_CA === undefined && it.KAFKA_SSL_CERT === undefined),
    'KAFKA_SSL_CA and KAFKA_SSL_CERT have no effect while KAFKA_SSL is false: set KAFKA_SSL=true',
  )
  const topics = NAMES.filter((name) => name.startsWith('TOPIC_'))
  const used = new Map<unknown, SettingName>()
  for (const name of topics) {
    const other = used.get(it[name])
    need(
      other === undefined,
      `${name} and ${String(other)} are both ${String(it[name])}: every topic needs a name of its own`,
    )
    used.set(it[name], name)
  }
  return problems
}

export type ShownSetting = {
  readonly name: SettingName
  readonly value: string
  readonly origin: Origin
  readonly doc: string
}

/**
 * Every setting, its value with secrets hidden, where it came from and what it is, and every problem there is with
 * them: what readConfig would throw. A value that is not allowed is shown as it was given.
 */
export function describeConfig(
  file: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): { readonly settings: readonly ShownSetting[]; readonly problems: readonly string[] } {
  const { problems, sources } = gather(file, env, new Map())
  return { settings: NAMES.map((name) => showSetting(name, sources)), problems }
}

function showSetting(name: SettingName, sources: readonly Values[]): ShownSetting {
  const setting: Setting = SETTINGS[name]
  const given = sources.find((source) => source.has(name))?.get(name)
  const read = setting.schema.safeParse(given)
  const value = read.success ? (read.data as Settings[SettingName]) : given
  return {
    name,
    value: shown(value, setting.secret === true),
    origin: originOf(name, value, sources),
    doc: setting.doc,
  }
}

function shown(value: Settings[SettingName] | string, secret: boolean): string {
  if (value === undefined) return ''
  if (!secret) return typeof value === 'object' ? value.join(',') : String(value)
  return typeof value === 'string' && URL.canParse(value) ? hidePassword(value) : '(hidden)'
}

/** A URL is shown without what it says before the @. */
function hidePassword(text: string): string {
  const url = new URL(text)
  if (url.username === '' && url.password === '') return text
  url.username = '***'
  url.password = ''
  return url.href
}
