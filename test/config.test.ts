import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, describeConfig, readConfig } from '../src/config.ts'
import { kafkaConnection } from '../src/connections.ts'
import { SETTINGS } from '../src/settings.ts'

const NEEDED = {
  KAFKA_BROKERS: 'a:9092, b:9093',
  SCHEMA_REGISTRY_URL: 'http://registry:8081',
  REDIS_URL: 'redis://user:s3cret@redis:6379/2',
  SLUICE_POLICY: 'policy.yaml',
}

const fileOf = (text: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'sluice-config-')), 'sluice.yaml')
  writeFileSync(path, text)
  return path
}

/** All problems, in order. */
function problemsOf(env: NodeJS.ProcessEnv, file?: string): readonly string[] {
  try {
    readConfig(file, env)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).problems
  }
}

describe('a good configuration', () => {
  test('has typed values, defaults for the rest, and cannot be changed', () => {
    const config = readConfig(undefined, { ...NEEDED, SLUICE_BATCH_RECORDS: '250', KAFKA_SSL: 'true' })
    expect(config.KAFKA_BROKERS).toEqual(['a:9092', 'b:9093'])
    expect([config.SLUICE_BATCH_RECORDS, config.KAFKA_SSL, config.TOPIC_INPUT]).toEqual([250, true, 'model.outputs'])
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('takes the environment before the file, and says where each value came from', () => {
    const file = fileOf('KAFKA_GROUP_ID: from-file\nSLUICE_BATCH_RECORDS: 100\nKAFKA_SSL: false\n')
    const config = readConfig(file, { ...NEEDED, KAFKA_GROUP_ID: 'from-env' })
    expect([config.KAFKA_GROUP_ID, config.SLUICE_BATCH_RECORDS, config.KAFKA_SSL]).toEqual(['from-env', 100, false])
    const origins = (['KAFKA_GROUP_ID', 'SLUICE_BATCH_RECORDS', 'LOG_LEVEL', 'KAFKA_SSL_CA'] as const).map((name) =>
      config.origins.get(name),
    )
    expect(origins).toEqual(['environment', 'file', 'default', 'not set'])
  })

  test('reads a secret from the file that NAME_FILE names, without its line end', () => {
    const config = readConfig(undefined, {
      ...NEEDED,
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'me',
      KAFKA_SASL_PASSWORD_FILE: fileOf('pass word\n'),
    })
    expect(kafkaConnection(config).sasl).toEqual({ mechanism: 'plain', username: 'me', password: 'pass word' })
  })

  test('is shown without secrets', () => {
    const { settings, problems } = describeConfig(undefined, {
      ...NEEDED,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=abc',
    })
    const shown = JSON.stringify(settings)
    expect(problems).toEqual([])
    expect(shown).not.toMatch(/s3cret|abc/)
    expect(shown).toContain('redis://***@redis:6379/2')
  })
})

describe('a bad configuration', () => {
  const cases: readonly (readonly [name: string, env: NodeJS.ProcessEnv, problem: RegExp])[] = [
    ['a broker without port', { KAFKA_BROKERS: 'kafka' }, /^KAFKA_BROKERS: must be host:port.*it is "kafka"$/],
    ['a flag that is none', { KAFKA_SSL: 'yes' }, /^KAFKA_SSL: must be true or false; it is "yes"$/],
    ['a number out of range', { SLUICE_BATCH_RECORDS: '0' }, /^SLUICE_BATCH_RECORDS: must be between 1 and 20000/],
    ['text for a number', { REDIS_DEADLINE_MS: 'soon' }, /^REDIS_DEADLINE_MS: must be a whole number/],
    ['a share above 1', { SLUICE_TRACE_EXECUTE_SHARE: '2' }, /between 0 and 1/],
    ['a share that is no number', { SLUICE_TRACE_EXECUTE_SHARE: 'x' }, /between 0 and 1/],
    [
      'another kind of URL',
      { SCHEMA_REGISTRY_URL: 'ftp://x' },
      /^SCHEMA_REGISTRY_URL: must be a URL that starts with http:\/\/ or https:\/\//,
    ],
    ['a secret, which is not repeated', { REDIS_URL: 'hunter2' }, /^REDIS_URL: must be a URL.*it is \(hidden\)$/],
    ['half a login', { KAFKA_SASL_USERNAME: 'me' }, /go together: set all three or none/],
    [
      'a certificate without key',
      { KAFKA_SSL: 'true', KAFKA_SSL_CERT: 'c' },
      /KAFKA_SSL_CERT and KAFKA_SSL_KEY go together/,
    ],
    ['certificates without TLS', { KAFKA_SSL_CA: 'ca.pem' }, /set KAFKA_SSL=true/],
    [
      'two topics of one name',
      { TOPIC_REVIEW: 'decisions.execute' },
      /TOPIC_REVIEW and TOPIC_EXECUTE are both decisions.execute/,
    ],
    [
      'a value given twice',
      { KAFKA_GROUP_ID: 'a', KAFKA_GROUP_ID_FILE: '/x' },
      /set KAFKA_GROUP_ID or KAFKA_GROUP_ID_FILE, not both/,
    ],
    [
      'a secret file that is not there',
      { REDIS_URL: undefined, REDIS_URL_FILE: '/nowhere/x' },
      /^REDIS_URL_FILE: cannot read \/nowhere\/x/,
    ],
  ]
  test.each(cases)('%s', (_, env, problem) => {
    expect(problemsOf({ ...NEEDED, ...env })[0]).toMatch(problem)
  })

  test('names every problem at once', () => {
    const problems = problemsOf({ KAFKA_SSL: 'maybe', SLUICE_HTTP_PORT: '99999' })
    const names = problems.map((it) => it.split(/[ :]/)[0])
    expect(names).toEqual([
      'KAFKA_BROKERS',
      'KAFKA_SSL',
      'SCHEMA_REGISTRY_URL',
      'REDIS_URL',
      'SLUICE_POLICY',
      'SLUICE_HTTP_PORT',
    ])
    expect(problems[0]).toBe('KAFKA_BROKERS is not set: where Kafka answers: host:port, several separated by commas')
  })

  test('names what is wrong in the file, with what may have been meant', () => {
    expect(problemsOf(NEEDED, fileOf('KAFKA_GROUPID: x\n'))[0]).toMatch(
      /unknown setting KAFKA_GROUPID; did you mean KAFKA_GROUP_ID\?$/,
    )
    expect(problemsOf(NEEDED, fileOf('constructor: x\n'))[0]).toMatch(/unknown setting constructor/)
    expect(problemsOf(NEEDED, fileOf('LOG_LEVEL: [a]\n'))[0]).toMatch(/LOG_LEVEL must be a text/)
    expect(problemsOf(NEEDED, fileOf('- a\n'))[0]).toMatch(/must be a list of NAME: value lines/)
    expect(problemsOf(NEEDED, fileOf('A: b\n  C: d\n'))[0]).toMatch(/sluice\.yaml:1: [^:]*$/)
    expect(problemsOf(NEEDED, '/nowhere/sluice.yaml')[0]).toMatch(
      /cannot read \/nowhere\/sluice.yaml: no such file or directory$/,
    )
  })

  test('is shown all the same, with every problem readConfig would throw', () => {
    const env = { REDIS_URL: 'http://user:s3cret@redis', KAFKA_SASL_PASSWORD: 'abc', LOG_LEVEL: 'verbose' }
    const { settings, problems } = describeConfig(undefined, env)
    expect(problems).toEqual(problemsOf(env))
    const rows = new Map(settings.map(({ name, value, origin }) => [name, `${value} (${origin})`]))
    expect(rows.size).toBe(Object.keys(SETTINGS).length)
    expect([rows.get('LOG_LEVEL'), rows.get('SLUICE_POLICY'), rows.get('SLUICE_HTTP_PORT')]).toEqual([
      'verbose (environment)',
      ' (not set)',
      '8080 (default)',
    ])
    expect(JSON.stringify(settings)).not.toMatch(/s3cret|abc/)
  })

  test('certificate files that cannot be read are named', () => {
    const config = readConfig(undefined, { ...NEEDED, KAFKA_SSL: 'true', KAFKA_SSL_CA: '/nowhere/ca.pem' })
    expect(() => kafkaConnection(config)).toThrow(/KAFKA_SSL_CA: cannot read \/nowhere\/ca.pem/)
  })
})
