import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>['values']

/** What is wrong with how a command was called; ends the process with 2. */
export function refuse(why: string): never {
  console.error(why)
  process.exit(2)
}

/** The options of the command line; one that is not known is refused with `help`, and `--help` prints it and ends with 0. */
export function readOptions<const O extends Options>(options: O, help: string): Values<O> {
  try {
    const { help: isAsked, ...values } = parseArgs<{ options: Options }>({
      options: { ...options, help: { type: 'boolean' } },
    }).values
    if (isAsked !== true) return values as Values<O>
  } catch (error) {
    return refuse(`${(error as Error).message}\n\n${help}`)
  }
  console.log(help)
  return process.exit(0)
}

/** A whole number above 0 of an option. */
export function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  return Number.isInteger(number) && number > 0 ? number : refuse(`--${name} ${text}: a whole number above 0 is needed`)
}
