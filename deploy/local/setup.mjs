// Runs before `npm start`, `npm test`, `npm run check` and `npm run bench`: makes a fresh clone ready, and is silent and
// quick when it is. Plain JavaScript without dependencies, since nothing is installed yet and Node may be 20.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MODULES = join(ROOT, 'node_modules')
const STAMP = join(MODULES, '.sluice-setup')
const NODE = join(MODULES, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
const NODE_MAJOR = 24
const OUTPUT_LINES = 12

/** @param {string} what is wrong and what to do */
function fail(what) {
  console.error(`setup: ${what}`)
  process.exit(1)
}

/**
 * npm by way of the one that runs us, whichever version that is.
 * @param {...string} args
 */
function npm(...args) {
  const cli = process.env.npm_execpath
  const viaNode = cli !== undefined && /\.c?js$/.test(cli)
  const [command, first] = viaNode ? [process.execPath, [cli]] : ['npm', []]
  return spawnSync(command, [...first, ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

/** What the installed modules depend on: the lockfile, and the platform the binaries are for. */
function fingerprint() {
  const hash = createHash('sha256').update(readFileSync(join(ROOT, 'package-lock.json')))
  return hash.update(`${process.platform} ${process.arch}`).digest('hex')
}

/** @param {string} lockfile of npm; none or a broken one holds no packages */
function packagesOf(lockfile) {
  try {
    return JSON.parse(readFileSync(lockfile, 'utf8')).packages
  } catch {
    return {}
  }
}

/** Whether npm has already installed what the lockfile says; packages for other platforms are rightly absent. */
function isInstalled() {
  const wanted = Object.entries(packagesOf(join(ROOT, 'package-lock.json')))
  const there = packagesOf(join(MODULES, '.package-lock.json'))
  return wanted.every(
    ([path, { version, optional }]) =>
      path === '' || there[path]?.version === version || (optional === true && there[path] === undefined),
  )
}

const stamped = () => (existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : '')

/** The version of Node that npm scripts will find first; empty when it does not run. */
const localNode = () => (spawnSync(NODE, ['--version'], { encoding: 'utf8' }).stdout ?? '').trim()

const isRight = (/** @type {string} */ version) => version.startsWith(`v${NODE_MAJOR}.`)

function install() {
  const since = Date.now()
  process.stderr.write('setup: installing dependencies and Node 24 (20 to 60 s the first time) ... ')
  const result = npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
  if (result.error !== undefined) {
    console.error('failed')
    fail('npm is not in PATH; install it together with Node')
  }
  if (result.status !== 0) {
    console.error('failed')
    const output = (result.stderr || result.stdout).trimEnd().split('\n')
    fail(`\`npm ci\` failed:\n${output.slice(0, OUTPUT_LINES).join('\n')}`)
  }
  console.error(`done in ${((Date.now() - since) / 1000).toFixed(1)} s`)
}

/** npm may be set to run no install scripts, and the one of `node` puts the binary in its place. */
function placeNode() {
  if (isRight(localNode())) return
  const script = join(MODULES, 'node', 'installArchSpecificPackage.js')
  if (existsSync(script)) spawnSync(process.execPath, [script], { cwd: join(MODULES, 'node'), encoding: 'utf8' })
  if (isRight(localNode())) return
  npm('rebuild', 'node', '--ignore-scripts=false')
  if (isRight(localNode())) return
  fail(
    `Node ${NODE_MAJOR} could not be put into node_modules/.bin; run \`npm rebuild node --ignore-scripts=false\` to see why`,
  )
}

const [major = 0] = process.versions.node.split('.').map(Number)
if (!(major >= 20)) fail(`this is Node ${process.versions.node}, and 20 or newer is needed`)

const wanted = fingerprint()
if (stamped() !== wanted) {
  if (!isInstalled()) install()
  placeNode()
  writeFileSync(STAMP, wanted)
}
