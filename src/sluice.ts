/**
 * Where every command starts. What was compiled is kept in the system's folder for temporary files (or NODE_COMPILE_CACHE)
 * and read from there the next time, which halves the time until a processor that was killed serves again.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'

/** By then all of a command is loaded; what is killed later has no end at which it would be written. */
const LOADED_MS = 3000

enableCompileCache()
setTimeout(flushCompileCache, LOADED_MS).unref()
await import('./cli.ts')
