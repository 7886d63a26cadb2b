import { ConfigError, describeConfig } from '../config.ts'

/**
 * `sluice config`: every setting with its value, secrets hidden, and where it came from; then what is wrong with them.
 * Returns the exit code: 1 when the processor would not start with these.
 */
export function showConfig(file: string | undefined, options: { readonly json: boolean }): number {
  const { settings, problems } = describeConfig(file)
  if (options.json) {
    const entries = settings.map(({ name, value, origin }) => [name, { value, origin }])
    console.log(JSON.stringify(Object.fromEntries(entries), null, 2))
  } else {
    const nameWidth = Math.max(...settings.map(({ name }) => name.length))
    const valueWidth = Math.min(48, Math.max(...settings.map(({ value }) => value.length)))
    for (const { name, value, origin, doc } of settings)
      console.log(`${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin.padEnd(11)}  ${doc}`)
  }
  if (problems.length === 0) return 0
  console.error(`\nsluice config: ${new ConfigError(problems).message}`)
  return 1
}
