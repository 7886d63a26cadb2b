import { setTimeout } from 'node:timers/promises'
import { NO_CALIBRATION, type Calibration } from '../decision/calibration.ts'
import { NO_CERTIFICATES, type Certificates } from '../decision/certificate.ts'
import type { Rulebook, RulebookSource } from '../processor/ports.ts'
import { loadCalibration } from './calibration-file.ts'
import { loadCertificates } from './certificate-file.ts'
import { digestOf } from './digest.ts'
import { loadPolicy } from './load-policy.ts'
import type { Problem } from './problem.ts'
import { readText } from './read-text.ts'

export type RulebookFiles = {
  readonly policyFile: string
  /** null: no calibration. */
  readonly calibrationFile: string | null
  /** null: no certificates. */
  readonly certificatesFile: string | null
}

export type WatchOptions = RulebookFiles & {
  /** How often the files are looked at, milliseconds. */
  readonly intervalMs?: number
  /** A change that has stood still for this long is written to its end, milliseconds. */
  readonly settlingMs?: number
  /** Ends the watching; what is in force stays so. */
  readonly signal: AbortSignal
  /** A new rulebook is in force. Must not throw. */
  readonly onChange?: (next: Rulebook, previous: Rulebook) => void
  /** The files have changed to something that cannot be taken over; the old rulebook stays in force. Must not throw. */
  readonly onRejected?: (problems: readonly Problem[]) => void
}

export type WatchedRulebook = RulebookSource & {
  /** How many changes were not taken over so far. */
  readonly rejections: () => number
}

export type Watching =
  | { readonly kind: 'watching'; readonly rulebook: WatchedRulebook }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

export type LoadedRulebook =
  | { readonly kind: 'rulebook'; readonly rulebook: Rulebook }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

/**
 * Loads the rulebook and keeps it current until `signal` aborts. The files' content is compared every `intervalMs`, which
 * unlike file system events also notices a Kubernetes ConfigMap, whose files are symbolic links swapped from behind.
 */
export async function watchRulebook(options: WatchOptions): Promise<Watching> {
  const content = await readContent(options)
  const loaded = loadRulebook(content)
  if (loaded.kind === 'problems') return loaded
  const watch = { options, seen: content.digest, current: loaded.rulebook, rejections: 0 }
  void keepLooking(watch)
  return { kind: 'watching', rulebook: { current: () => watch.current, rejections: () => watch.rejections } }
}

type Watch = {
  readonly options: WatchOptions
  /** The digest of the content last judged, be it in force or rejected. */
  seen: string
  current: Rulebook
  rejections: number
}

/** The timer does not keep the process alive. */
async function keepLooking(watch: Watch): Promise<void> {
  const { signal, intervalMs = 1_000 } = watch.options
  try {
    for (;;) {
      await setTimeout(intervalMs, undefined, { signal, ref: false })
      await look(watch)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function look(watch: Watch): Promise<void> {
  const { signal, settlingMs = 100 } = watch.options
  const content = await readContent(watch.options)
  if (content.digest === watch.seen) return
  // Editors write in place, and two files may be changed together: what is still changing is left for the next look.
  await setTimeout(settlingMs, undefined, { signal, ref: false })
  const again = await readContent(watch.options)
  if (again.digest !== content.digest) return
  watch.seen = content.digest
  takeOver(watch, loadRulebook(content))
}

function takeOver(watch: Watch, loaded: LoadedRulebook): void {
  const { onChange, onRejected } = watch.options
  if (loaded.kind === 'problems') {
    watch.rejections++
    onRejected?.(loaded.problems)
    return
  }
  const previous = watch.current
  watch.current = loaded.rulebook
  onChange?.(loaded.rulebook, previous)
}

// ---- files ------------------------------------------------------------------------------------------------------

type File = { readonly name: string; readonly text: string | null; readonly problems: readonly Problem[] }
type Content = {
  readonly policy: File
  readonly calibration: File | null
  readonly certificates: File | null
  readonly digest: string
}

async function readContent({ policyFile, calibrationFile, certificatesFile }: RulebookFiles): Promise<Content> {
  const policy = await readOne(policyFile)
  const calibration = calibrationFile === null ? null : await readOne(calibrationFile)
  const certificates = certificatesFile === null ? null : await readOne(certificatesFile)
  const digest = digestOf(JSON.stringify([policy, calibration, certificates]))
  return { policy, calibration, certificates, digest }
}

async function readOne(name: string): Promise<File> {
  const read = await readText(name)
  if (read.kind === 'text') return { name, text: read.text, problems: [] }
  if (read.kind === 'problems') return { name, text: null, problems: read.problems }
  const message = `the file cannot be used: ${read.why}`
  return { name, text: null, problems: [{ file: name, line: 1, column: 1, message, hint: 'Check the path.' }] }
}

/** Reads and compiles all files, or says everything that is wrong with any. Never throws. */
export const readRulebook = async (files: RulebookFiles): Promise<LoadedRulebook> =>
  loadRulebook(await readContent(files))

function loadRulebook(content: Content): LoadedRulebook {
  const rules = compiled(content.policy, loadPolicy)
  const tables = content.calibration === null ? NO_TABLES : compiled(content.calibration, loadCalibration)
  const proofs = content.certificates === null ? NO_PROOFS : compiled(content.certificates, loadCertificates)
  if ('policy' in rules && 'calibration' in tables && 'certificates' in proofs) {
    const { calibration } = tables
    return { kind: 'rulebook', rulebook: { policy: rules.policy, calibration, certificates: proofs.certificates } }
  }
  return { kind: 'problems', problems: [rules, tables, proofs].flatMap(problemsOf) }
}

const NO_TABLES: { readonly calibration: Calibration } = { calibration: NO_CALIBRATION }
const NO_PROOFS: { readonly certificates: Certificates } = { certificates: NO_CERTIFICATES }

const compiled = <T>(file: File, load: (text: string, name: string) => T): T | File =>
  file.text === null ? file : load(file.text, file.name)

const problemsOf = (loaded: object): readonly Problem[] =>
  'problems' in loaded ? (loaded.problems as readonly Problem[]) : []
