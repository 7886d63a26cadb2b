import { NO_CALIBRATION, type Calibration } from './decision/calibration.ts'
import { NO_CERTIFICATES, type Certificates } from './decision/certificate.ts'
import type { Policy } from './decision/policy.ts'
import { loadCalibration } from './policy/calibration-file.ts'
import { loadCertificates } from './policy/certificate-file.ts'
import { loadPolicy } from './policy/load-policy.ts'
import { formatProblem, type Problem } from './policy/problem.ts'
import type { Rulebook } from './processor/ports.ts'

/** What a verdict says it was made with. */
export type RulebookRef = {
  readonly digest: string
  readonly calibration: string | null
  readonly certificates: string | null
}

type Missing = { readonly kind: 'missing'; readonly why: string }

export type FoundRulebook = { readonly kind: 'found'; readonly rulebook: Rulebook } | Missing

type Text = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, Uint8Array>
}

/** All records of a topic. */
type ReadTopic = (topic: string) => Promise<readonly Text[]>

/** After a text was not found, how long until the topic is read again for it, milliseconds. */
const REREAD_MS = 2000

/** Policies, calibrations and certificates by their digests, from the topic that verdicts' texts are published to, compiled once each. */
export class RulebookArchive {
  readonly #topic: string
  readonly #readTopic: ReadTopic
  readonly #compiled = new Map<string, FoundRulebook>()
  #texts: Promise<ReadonlyMap<string, string>> | null = null
  #readAt = -Infinity

  /** `readTopic` gives all records of a topic; what it rejects with, `find` does. */
  constructor(topic: string, readTopic: ReadTopic) {
    this.#topic = topic
    this.#readTopic = readTopic
  }

  async find(ref: RulebookRef): Promise<FoundRulebook> {
    const { digest, calibration, certificates } = ref
    const name = `${digest} ${calibration ?? ''} ${certificates ?? ''}`
    const known = this.#compiled.get(name)
    if (known !== undefined) return known
    const texts = await this.#textsWith([digest, calibration, certificates])
    const found = compile({ texts, topic: this.#topic }, ref)
    if (found.kind === 'found') this.#compiled.set(name, found)
    return found
  }

  async #textsWith(digests: readonly (string | null)[]): Promise<ReadonlyMap<string, string>> {
    const known = await (this.#texts ??= this.#read())
    const isKnown = digests.every((it) => it === null || known.has(it))
    if (isKnown || performance.now() - this.#readAt < REREAD_MS) return known
    this.#texts = this.#read()
    return await this.#texts
  }

  async #read(): Promise<ReadonlyMap<string, string>> {
    this.#readAt = performance.now()
    try {
      const texts = new Map<string, string>()
      for (const { key, value } of await this.#readTopic(this.#topic))
        if (key !== null && value !== null) texts.set(key.toString('utf8'), value.toString('utf8'))
      return texts
    } catch (error) {
      this.#texts = null
      throw error
    }
  }
}

function compile(shelf: Shelf, ref: RulebookRef): FoundRulebook {
  const policy = onShelf(shelf, 'policy', ref.digest, loadPolicy)
  if (policy.kind === 'missing') return policy
  const calibration =
    ref.calibration === null ? NO_TABLES : onShelf(shelf, 'calibration', ref.calibration, loadCalibration)
  if (calibration.kind === 'missing') return calibration
  const certificates =
    ref.certificates === null ? NO_PROOFS : onShelf(shelf, 'certificates', ref.certificates, loadCertificates)
  if (certificates.kind === 'missing') return certificates
  const rulebook = {
    policy: policy.policy,
    calibration: calibration.calibration,
    certificates: certificates.certificates,
  }
  return { kind: 'found', rulebook }
}

const NO_TABLES: { readonly kind: 'calibration'; readonly calibration: Calibration } = {
  kind: 'calibration',
  calibration: NO_CALIBRATION,
}
const NO_PROOFS: { readonly kind: 'certificates'; readonly certificates: Certificates } = {
  kind: 'certificates',
  certificates: NO_CERTIFICATES,
}

type Shelf = { readonly texts: ReadonlyMap<string, string>; readonly topic: string }
type Problems = { readonly kind: 'problems'; readonly problems: readonly Problem[] }

function onShelf<T extends { readonly kind: string }>(
  { texts, topic }: Shelf,
  what: string,
  digest: string,
  load: (text: string, name: string) => T | Problems,
): T | Missing {
  const text = texts.get(digest)
  if (text === undefined) return { kind: 'missing', why: `${what} ${digest} is not in ${topic}` }
  const loaded = load(text, `${topic}/${digest}`)
  return isProblems(loaded) ? { kind: 'missing', why: loaded.problems.map(formatProblem).join('\n') } : loaded
}

const isProblems = (loaded: { readonly kind: string }): loaded is Problems => loaded.kind === 'problems'

/** The policy whose text was published last, which is the one in force or about to be; null where there is none. */
export async function newestPolicy(readTopic: ReadTopic, topic: string): Promise<Policy | null> {
  const texts = (await readTopic(topic)).filter(({ headers }) => String(headers.get('sluice.kind')) === 'policy')
  const newest = texts.at(-1)?.value?.toString('utf8')
  const loaded = newest === undefined ? null : loadPolicy(newest, topic)
  return loaded?.kind === 'policy' ? loaded.policy : null
}
