#!/usr/bin/env node
// What `npx sluice` runs: the command line, or what is missing for it. Plain JavaScript without dependencies, since in a
// fresh clone nothing is installed yet, and Node may be one that cannot read the sources.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR = 24
const root = new URL('../../', import.meta.url)

/** @param {string} what is missing and what to do */
function fail(what) {
  console.error(`sluice: ${what}`)
  process.exit(1)
}

if (!existsSync(new URL('node_modules/commander', root))) {
  fail(`its dependencies are not installed yet; run \`npm start\`, or \`npm ci\`, in ${fileURLToPath(root)} first`)
}
if (!(Number(process.versions.node.split('.')[0]) >= NODE_MAJOR)) {
  fail(
    `this is Node ${process.versions.node}; \`npx sluice\` in ${fileURLToPath(root)} takes the right one, Node ${NODE_MAJOR}`,
  )
}
await import('../../src/sluice.ts')
