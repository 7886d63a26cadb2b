import { execFile } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { java } from '../../../deploy/local/java.ts'
import { startKafka } from '../../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../../deploy/local/kafka.ts'
import type { KafkaConnection, KafkaSasl } from '../../../src/kafka/connection.ts'
import type { Request } from '../../../src/kafka/wire/request.ts'
import { eventually, Scene } from './kafka-scene.ts'

const run = promisify(execFile)

/** A right on a resource: `prefix` covers all names that begin so. */
export type Right = {
  readonly on: 'topic' | 'group' | 'transactionalId'
  readonly name: string
  readonly prefix?: true
  readonly to: 'read' | 'write' | 'describe' | 'create' | 'describeConfigs'
}

export type Grant = Right & { readonly user: string }

export type SecuredKafka = {
  /** The plain listener, whose users may do everything. */
  readonly scene: Scene
  /** How a user logs in: over TLS, with a password of its own. */
  readonly as: (user: string, mechanism?: KafkaSasl['mechanism']) => KafkaConnection
  readonly grant: (grants: readonly Grant[]) => Promise<void>
  readonly stop: () => Promise<void>
}

const PASSWORD = 'correct horse'

/**
 * A broker that takes users over TLS with SASL only, and refuses what no access control list allows. Its certificate is
 * its own authority, made by the JDK's keytool.
 */
export async function startSecured(users: readonly string[]): Promise<SecuredKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-secured-'))
  const { keystore, ca } = await makeCertificate(folder)
  const kafka = await startKafka({ listeners: { SECURE: 'SASL_SSL' }, properties: properties(keystore, users) })
  const scene = new Scene(kafka.brokers)
  for (const mechanism of MECHANISMS) await addScramUsers(scene, users, mechanism)
  const as = (username: string, mechanism: KafkaSasl['mechanism'] = 'scram-sha-512'): KafkaConnection => ({
    brokers: kafka.listeners.get('SECURE') ?? [],
    clientId: username,
    ssl: { ca },
    sasl: { mechanism, username, password: PASSWORD },
  })
  return { scene, as, grant: (grants) => createAcls(scene, grants), stop: () => stop(kafka, scene, folder) }
}

async function stop(kafka: LocalKafka, scene: Scene, folder: string): Promise<void> {
  await scene.close()
  await kafka.stop()
  await rm(folder, { recursive: true, force: true })
}

async function makeCertificate(folder: string): Promise<{ readonly keystore: string; readonly ca: string }> {
  const command = await java()
  const keytool = command === 'java' ? 'keytool' : join(dirname(command), 'keytool')
  const keystore = join(folder, 'broker.p12')
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', 'changeit', '-alias', 'broker']
  const names = ['-dname', 'CN=broker', '-ext', 'san=ip:127.0.0.1', '-validity', '2']
  await run(keytool, ['-genkeypair', '-keyalg', 'EC', '-groupname', 'secp256r1', ...names, ...store])
  const certificate = join(folder, 'broker.pem')
  await run(keytool, ['-exportcert', '-rfc', '-file', certificate, ...store])
  return { keystore, ca: await readFile(certificate, 'utf8') }
}

function properties(keystore: string, users: readonly string[]): Record<string, string> {
  const passwords = users.map((user) => `user_${user}="${PASSWORD}"`).join(' ')
  const security = 'org.apache.kafka.common.security'
  return {
    'group.min.session.timeout.ms': '1000',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // Whoever comes over the plain listener: the test itself, and the brokers among themselves.
    'super.users': 'User:ANONYMOUS',
    'listener.name.secure.ssl.keystore.type': 'PKCS12',
    'listener.name.secure.ssl.keystore.location': keystore,
    'listener.name.secure.ssl.keystore.password': 'changeit',
    'listener.name.secure.ssl.key.password': 'changeit',
    'listener.name.secure.sasl.enabled.mechanisms': 'SCRAM-SHA-512,SCRAM-SHA-256,PLAIN',
    'listener.name.secure.scram-sha-512.sasl.jaas.config': `${security}.scram.ScramLoginModule required;`,
    'listener.name.secure.scram-sha-256.sasl.jaas.config': `${security}.scram.ScramLoginModule required;`,
    'listener.name.secure.plain.sasl.jaas.config': `${security}.plain.PlainLoginModule required ${passwords};`,
  }
}

const MECHANISMS = [
  { code: 1, hash: 'sha256', bytes: 32 },
  { code: 2, hash: 'sha512', bytes: 64 },
] as const
const ITERATIONS = 4096

/** AlterUserScramCredentialsRequest.json version 0; the salted password is RFC 5802's Hi(password, salt, iterations). */
async function addScramUsers(
  scene: Scene,
  users: readonly string[],
  { code, hash, bytes }: (typeof MECHANISMS)[number],
): Promise<void> {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(PASSWORD, salt, ITERATIONS, bytes, hash)
  const request: Request<readonly number[]> = {
    apiKey: 51,
    apiVersion: 0,
    apiName: 'AlterUserScramCredentials',
    flexible: true,
    write: (w) => {
      w.compactArray([], () => undefined)
      w.compactArray(users, (user) => {
        w.compactString(user).int8(code).int32(ITERATIONS).compactBytes(salt).compactBytes(salted).tags()
      }).tags()
    },
    read: (r) => {
      r.int32()
      return r.compactArray(() => {
        r.compactString()
        const code = r.int16()
        r.compactNullableString()
        r.tags()
        return code
      })
    },
  }
  await eventually(async () => {
    const codes = await scene.cluster.sendAny(request)
    if (codes.some((code) => code !== 0)) throw new Error(`SCRAM users: ${codes.join()}`)
  })
}

/** Codes of org.apache.kafka.common.resource.ResourceType and org.apache.kafka.common.acl.AclOperation. */
const RESOURCES = { topic: 2, group: 3, transactionalId: 5 } as const
const OPERATIONS = { read: 3, write: 4, create: 5, describe: 8, describeConfigs: 10 } as const
const PATTERN = { literal: 3, prefixed: 4 } as const
const ALLOW = 3

/** CreateAclsRequest.json version 2. */
async function createAcls(scene: Scene, grants: readonly Grant[]): Promise<void> {
  const request: Request<readonly number[]> = {
    apiKey: 30,
    apiVersion: 2,
    apiName: 'CreateAcls',
    flexible: true,
    write: (w) => {
      w.compactArray(grants, ({ user, on, name, prefix, to }) => {
        w.int8(RESOURCES[on])
          .compactString(name)
          .int8(prefix === true ? PATTERN.prefixed : PATTERN.literal)
        w.compactString(`User:${user}`).compactString('*').int8(OPERATIONS[to]).int8(ALLOW).tags()
      }).tags()
    },
    read: (r) => {
      r.int32()
      return r.compactArray(() => {
        const code = r.int16()
        r.compactNullableString()
        r.tags()
        return code
      })
    },
  }
  const codes = await scene.cluster.sendAny(request)
  if (codes.length !== grants.length || codes.some((code) => code !== 0)) throw new Error(`CreateAcls: ${codes.join()}`)
}
