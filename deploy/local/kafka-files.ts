import { createHash } from 'node:crypto'
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cached } from './cache.ts'
import { java, maven } from './java.ts'
import { runTool } from './local-process.ts'
import type { Log } from './log.ts'

const POM = join(import.meta.dirname, 'pom.xml')

/** Any 16 bytes in base64 do; a fixed id lets a formatted folder be copied. */
const CLUSTER_ID = '5L6g3nShT-eMCtK--X86sw'

/** `jars`: what goes on the class path. `archive`: where an archive of loaded classes is, or will be. */
export type KafkaFiles = { readonly jars: string; readonly template: string; readonly archive: string }

/** Fetches Apache Kafka into the cache; `version` null stands for the one in the pom. */
export async function kafkaFiles(version: string | null, log: Log): Promise<KafkaFiles> {
  const pom = await readFile(POM, 'utf8')
  const wanted = version ?? /<kafka\.version>(.+)<\/kafka\.version>/.exec(pom)?.[1]
  if (wanted === undefined) throw new Error(`${POM} names no kafka.version`)
  const digest = createHash('sha256').update(pom).digest('hex').slice(0, 8)
  const folder = await cached(`kafka-${wanted}-${digest}`, async (temporary) => {
    log(`fetching Apache Kafka ${wanted} (about 45 MB, once)`)
    const jars = join(temporary, 'jars')
    await copyFile(POM, join(temporary, 'pom.xml'))
    await maven([
      'dependency:copy-dependencies',
      `--file=${join(temporary, 'pom.xml')}`,
      `-Dkafka.version=${wanted}`,
      `-DoutputDirectory=${jars}`,
      '-DincludeScope=runtime',
    ])
    await format(jars, join(temporary, 'template'))
  })
  return { jars: join(folder, 'jars'), template: join(folder, 'template'), archive: join(folder, 'classes.jsa') }
}

/** Formatting takes as long as starting a broker, so it is done once and copied. */
async function format(jars: string, template: string): Promise<void> {
  const config = `${template}.properties`
  await mkdir(dirname(config), { recursive: true })
  await writeFile(
    config,
    propertiesText({
      'process.roles': 'broker,controller',
      'node.id': '1',
      'controller.quorum.voters': '1@127.0.0.1:9093',
      'controller.listener.names': 'CONTROLLER',
      listeners: 'PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
      'log.dirs': template,
    }),
  )
  const tool = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), 'kafka.tools.StorageTool']
  await runTool(await java(), [...tool, 'format', `--cluster-id=${CLUSTER_ID}`, `--config=${config}`])
}

/**
 * A formatted data folder for node `id`. Nodes differ in `meta.properties` only, since the quorum's voters are named in
 * the configuration and not in the log.
 */
export async function formattedFolder(template: string, id: number, folder: string): Promise<void> {
  await cp(template, folder, { recursive: true })
  const meta = await readFile(join(template, 'meta.properties'), 'utf8')
  const directory = Buffer.alloc(16, `sluice-local-${id}`).toString('base64url')
  await writeFile(
    join(folder, 'meta.properties'),
    meta.replace(/^node\.id=.*$/m, `node.id=${id}`).replace(/^directory\.id=.*$/m, `directory.id=${directory}`),
  )
}

/** A Java properties file; backslashes are the only characters of our values that need care. */
export function propertiesText(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')
}
