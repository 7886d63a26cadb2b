import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** Where downloaded servers are kept: `SLUICE_CACHE`, or `sluice` in the user's cache folder. */
export function cacheFolder(): string {
  const own = process.env['SLUICE_CACHE']
  if (own !== undefined && own !== '') return own
  const base = process.env['XDG_CACHE_HOME']
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'sluice')
}

/**
 * The folder `name` of the cache; `make` fills a temporary one first, which is then renamed, so that an interrupted or
 * a concurrent start never leaves half a server behind.
 */
export async function cached(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder(), name)
  if (existsSync(folder)) return folder
  await removeLeftovers()
  const temporary = `${folder}.${randomUUID()}.part`
  await mkdir(temporary, { recursive: true })
  try {
    await make(temporary)
    await mkdir(dirname(folder), { recursive: true })
    await rename(temporary, folder)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    // Another process may have been quicker; what it made is as good.
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** What starts that were interrupted have left; an hour is more than any download is given. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(cacheFolder()).catch((): string[] => [])
  for (const name of names.filter((it) => it.endsWith('.part'))) {
    const path = join(cacheFolder(), name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > 3_600_000) await rm(path, { recursive: true, force: true })
  }
}
