import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

/** As git has them, and those that are about to be added. */
const FILES = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)))

const linesOf = (path: string): readonly string[] => readFileSync(join(ROOT, path), 'utf8').split('\n')

/** `path:line: text` of every line that the pattern finds. */
const found = (paths: readonly string[], pattern: RegExp): readonly string[] =>
  paths.flatMap((path) =>
    linesOf(path).flatMap((line, at) =>
      pattern.test(line) ? [`${path}:${at + 1}: ${line.trim().slice(0, 120)}`] : [],
    ),
  )

const isText = (path: string): boolean => !/\.(png|jpg|ico|woff2|avro|bin|gz|p12|jks)$/.test(path)
const TEXT = FILES.filter(isText)
const WITHOUT_THIS_FILE = TEXT.filter((path) => path !== 'test/tidy.test.ts')

test('git knows files to look at', () => {
  expect(TEXT.length).toBeGreaterThan(50)
})

test('no source file is longer than 400 lines', () => {
  const long = FILES.filter((path) => /^src\/.*\.ts$/.test(path))
    .map((path) => ({ path, lines: linesOf(path).length - 1 }))
    .filter(({ lines }) => lines > 400)
  expect(long).toEqual([])
})

test('the lockfile names no registry: every machine uses its own', () => {
  expect(found(['package-lock.json'], /"resolved":/)).toEqual([])
})

test('the lockfile has an entry for every platform’s binaries: without, npm 11 refuses to install', () => {
  type Locked = { readonly optionalDependencies?: Readonly<Record<string, string>> }
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  const wanted = Object.values(packages).flatMap((it) => Object.keys(it.optionalDependencies ?? {}))
  expect(wanted.length).toBeGreaterThan(50)
  expect(wanted.filter((name) => packages[`node_modules/${name}`] === undefined)).toEqual([])
})

test('no file is bound to one machine: no home, no work folder, no registry host', () => {
  const paths = /(^|[\s"'`=:(])\/(work|home|root|Users|mnt|workspace)\/[a-z]/i
  const hosts =
    /\b(registry\.npmjs\.org|registry\.yarnpkg\.com|repo1?\.maven\.(apache\.)?org|pypi\.org|deb\.debian\.org|artifactory)\b/
  expect(found(WITHOUT_THIS_FILE, paths)).toEqual([])
  expect(found(WITHOUT_THIS_FILE, hosts)).toEqual([])
})

test('no test is skipped, left alone with the others skipped, retried or promised', () => {
  const tests = FILES.filter((path) => path.endsWith('.test.ts') && path !== 'test/tidy.test.ts')
  expect(tests.length).toBeGreaterThan(10)
  // Without a browser the pages are not looked at, which those files say aloud; where CI is set it always is.
  const always = tests.filter((path) => !/^test\/(report\/report|telemetry\/trace)-page\.test\.ts$/.test(path))
  expect(found(always, /\b(test|it|describe|suite)(\.\w+)*\.(only|skip|skipIf|runIf|todo|fails)\b/)).toEqual([])
  expect(found(tests, /\bretry:\s*[1-9]|\bcontext\.skip\(|\bctx\.skip\(/)).toEqual([])
  expect(found(['vitest.config.ts'], /\bretry\b|passWithNoTests/)).toEqual([])
})

test('every room of src stands in its map, and the map names nothing that is not there', () => {
  const map = readFileSync(join(ROOT, 'src', 'README.md'), 'utf8')
  const named = [...map.matchAll(/^\| `([\w.-]+)\/?` \|/gm)].map(([, name]) => name ?? '')
  const entries = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  const rooms = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const there = entries.map(({ name }) => name)
  expect(rooms.filter((name) => !named.includes(name))).toEqual([])
  expect(named.filter((name) => !there.includes(name))).toEqual([])
})

test('the changelog has a place for what is not released yet', () => {
  expect(linesOf('CHANGELOG.md')).toContain('## Unreleased')
})

test('every suppression of a rule says why, behind it or on the line before', () => {
  const bare = /(oxlint|eslint)-disable(-next-line|-line)?(?!.*\s--\s\S)|@ts-(ignore|expect-error)\s*$|@ts-nocheck/
  const explained = /^\s*(\/\/|\*|\/\*\*) ?\w/
  const code = FILES.filter((path) => /\.(ts|mjs)$/.test(path) && path !== 'test/tidy.test.ts')
  const unexplained = code.flatMap((path) =>
    linesOf(path).flatMap((line, at, lines) =>
      bare.test(line) && !explained.test(lines[at - 1] ?? '') ? [`${path}:${at + 1}: ${line.trim()}`] : [],
    ),
  )
  expect(unexplained).toEqual([])
})
