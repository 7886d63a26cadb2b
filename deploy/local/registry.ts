import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { httpAnswers } from './answers.ts'
import { cached } from './cache.ts'
import { freePorts } from './free-ports.ts'
import { java, maven } from './java.ts'
import { silent } from './log.ts'
import type { Log } from './log.ts'
import { lastLines, runTool, startProcess } from './local-process.ts'
import type { LocalProcess } from './local-process.ts'
import { StackError } from './stack-error.ts'

/** The last one for Java 17; 3.1 and later need 21. */
const VERSION = '3.0.9'
/** Later releases of the plugin first read the artifact’s parent, which is not published. */
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:2.10'
const START_TIMEOUT_MS = 90_000

export type RegistryOptions = {
  /** 0, the default, takes a free one. */
  readonly port?: number
  readonly log?: Log
}

export type LocalRegistry = {
  /** The base of the Confluent API, for SCHEMA_REGISTRY_URL. */
  readonly url: string
  readonly pid: number
  /** Ends it like a power cut. What was registered is lost, since it lives in memory. */
  readonly kill: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts Apicurio on loopback with its storage in memory; it ends with this process at the latest. */
export async function startRegistry(options: RegistryOptions = {}): Promise<LocalRegistry> {
  const home = await cached(`apicurio-${VERSION}`, (temporary) => {
    ;(options.log ?? silent)(`fetching the schema registry, Apicurio ${VERSION} (about 110 MB, once)`)
    return fetchApicurio(temporary)
  })
  const folder = await mkdtemp(join(tmpdir(), 'sluice-registry-'))
  const port = options.port === undefined || options.port === 0 ? ((await freePorts(1))[0] ?? 0) : options.port
  const env = { ...process.env, QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) }
  const server = await startProcess(await java(), await jvmArguments(home), {
    logFile: join(folder, 'registry.log'),
    temporary: folder,
    env,
  })
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const stop = async () => {
    await server.kill()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await ready(server, url)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url,
    pid: server.pid,
    kill: () => server.kill(),
    stop,
  }
}

async function fetchApicurio(folder: string): Promise<void> {
  await maven([
    `${DEPENDENCY_PLUGIN}:copy`,
    `-Dartifact=io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`,
    `-DoutputDirectory=${folder}`,
  ])
  const archive = join(folder, `apicurio-registry-app-${VERSION}-all.tar.gz`)
  await runTool('tar', ['-xzf', archive, '-C', folder])
  await rm(archive)
}

async function jvmArguments(home: string): Promise<readonly string[]> {
  const jar = (await readdir(home)).find((name) => name.endsWith('-runner.jar'))
  if (jar === undefined) throw new Error(`${home} holds no runner jar`)
  return ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', join(home, jar)]
}

async function ready(server: LocalProcess, url: string): Promise<void> {
  const until = Date.now() + START_TIMEOUT_MS
  while (!(await httpAnswers(`${url}/subjects`))) {
    const ended = server.ended()
    if (ended === null && Date.now() < until) await sleep(100)
    else {
      const log = lastLines(server.logFile)
      throw new StackError(
        `the schema registry did not start: ${ended ?? `${url} does not answer`}. The end of its log:\n${log}`,
      )
    }
  }
}
