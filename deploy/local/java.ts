import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { runTool } from './local-process.ts'
import { StackError } from './stack-error.ts'

const INSTALL_JAVA = 'install Java 17 or newer (Debian, Ubuntu: openjdk-17-jre-headless; macOS: brew install openjdk)'
const INSTALL_MAVEN = 'install Maven (Debian, Ubuntu: maven; macOS: brew install maven)'

let found: Promise<string> | undefined

/** The command of a Java of at least version 17: the one of JAVA_HOME, or the one in PATH. */
export function java(): Promise<string> {
  found ??= findJava()
  return found
}

async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME']
  const command = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
  const version = await runTool(command, ['-version']).then(
    ({ stderr }) => /version "(\d+)/.exec(stderr)?.[1],
    () => undefined,
  )
  if (version === undefined) throw new StackError(`\`${command}\` does not run: ${INSTALL_JAVA}`)
  if (!(Number(version) >= 17))
    throw new StackError(`\`${command}\` is Java ${version}, and 17 is needed: ${INSTALL_JAVA}`)
  return command
}

/** Rejects with StackError when there is no Maven; does not run it, which takes long. */
export async function mavenPresent(): Promise<void> {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const found = await Promise.allSettled(folders.map((folder) => access(join(folder, 'mvn'), constants.X_OK)))
  if (found.every(({ status }) => status === 'rejected')) throw noMaven()
}

const noMaven = (): StackError => new StackError(`\`mvn\` is not in PATH: ${INSTALL_MAVEN}`)

/** Runs Maven; `args` must not need a project around them. */
export async function maven(args: readonly string[]): Promise<void> {
  await java()
  try {
    await runTool('mvn', ['--batch-mode', '--quiet', ...args])
  } catch (error) {
    if (isMissing(error)) throw noMaven()
    throw new StackError(`\`mvn ${args.join(' ')}\` failed:\n${outputOf(error)}`)
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

function outputOf(error: unknown): string {
  const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error)
  return output.trimEnd().split('\n').slice(0, 12).join('\n')
}
