import { describeConfig, readConfig } from '../config.ts'

/** `sluice config`: every setting with its value, secrets hidden, and where it came from. Returns the exit code. */
export function showConfig(file: string | undefined, options: { readonly json: boolean }): number {
  const rows = describeConfig(readConfig(file))
  if (options.json) {
    console.log(
      JSON.stringify(Object.fromEntries(rows.map(({ name, value, origin }) => [name, { value, origin }])), null, 2),
    )
    return 0
  }
  const nameWidth = Math.max(...rows.map((row) => row.name.length))
  const valueWidth = Math.min(48, Math.max(...rows.map((row) => row.value.length)))
  for (const { name, value, origin, doc } of rows) {
    console.log(`${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin.padEnd(11)}  ${doc}`)
  }
  return 0
}
