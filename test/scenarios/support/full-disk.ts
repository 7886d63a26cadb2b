import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * A full disk for one process, without the right to mount one: no file of it may grow beyond what any has, so each write
 * that would make one longer is refused (EFBIG), as it is for want of space (ENOSPC). `null` gives it room again.
 * A process must ignore SIGXFSZ, as JVMs do, or it is killed instead.
 */
export async function limitFiles(pid: number, bytes: number | null): Promise<void> {
  await run('prlimit', [`--pid=${pid}`, `--fsize=${bytes ?? 'unlimited'}:`])
}
