import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './cli.ts'

const PARTS = ['src', 'deploy', 'schemas', 'package.json', 'package-lock.json', 'tsconfig.json', 'README.md']

/** A copy of this checkout, so that a demo running in it is told from one that a developer runs. */
export async function copyCheckout(): Promise<{ readonly root: string; readonly remove: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'sluice-checkout-'))
  for (const part of PARTS) await cp(join(ROOT, part), join(root, part), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  return { root, remove: () => rm(root, { recursive: true, force: true }) }
}

const run = promisify(execFile)

/** All processes that descend from this one and run now, by their command. */
export async function descendants(pid: number): Promise<ReadonlyMap<number, string>> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,args='])
  const rows = stdout.split('\n').map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
  const found = new Map<number, string>()
  const add = (parent: number): void => {
    for (const row of rows) {
      if (row === null || Number(row[2]) !== parent) continue
      found.set(Number(row[1]), row[3] ?? '')
      add(Number(row[1]))
    }
  }
  add(pid)
  return found
}

/** Those of them that are still there. */
export const survivors = (processes: ReadonlyMap<number, string>): readonly string[] =>
  [...processes].filter(([pid]) => isAlive(pid)).map(([pid, command]) => `${pid} ${command}`)

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
