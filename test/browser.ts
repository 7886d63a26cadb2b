import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A browser of the system; playwright-core brings none. */
const browserPath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find(isExecutable)

/** Pages are looked at where there is a browser, and always in CI, where a missing one is a failure. */
export const hasBrowser = browserPath !== undefined || process.env['CI'] !== undefined

if (browserPath === undefined) console.warn('pages are NOT checked: install Chromium to have them checked')

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: browserPath ?? 'chromium', args: ['--no-sandbox'] })
