import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { SchemaText } from './writer.ts'

const Content = z.object({
  registry: z.string(),
  ids: z.array(z.object({ subject: z.string(), fingerprint: z.string(), id: z.int() })),
  writers: z.array(z.object({ id: z.int(), subject: z.string(), schema: z.string(), references: z.array(z.string()) })),
})
type Content = z.infer<typeof Content>

/** The oldest are forgotten beyond this many. */
const WRITERS_MAX = 200

/**
 * What a registry once said, kept in a file, so that a restart while the registry is away can go on. A registry never
 * gives an id another meaning, so nothing in it goes stale; it is still asked first, since it may have been replaced by
 * an empty one. A file of another registry, or one that cannot be read, counts as empty.
 */
export class SchemaCache {
  private readonly path: string | null
  private readonly onProblem: (problem: string) => void
  private content: Content
  private saving: Promise<void> = Promise.resolve()
  private dirty = false

  private constructor(path: string | null, content: Content, onProblem: (problem: string) => void) {
    this.path = path
    this.content = content
    this.onProblem = onProblem
  }

  /** `path` null: nothing outlives the process. `onProblem` is told in one sentence when the file is of no use. */
  static async open(path: string | null, url: string, onProblem: (problem: string) => void): Promise<SchemaCache> {
    const empty: Content = { registry: url, ids: [], writers: [] }
    const content = path === null ? null : await readContent(path, onProblem)
    return new SchemaCache(path, content?.registry === url ? content : empty, onProblem)
  }

  id(subject: string, fingerprint: string): number | undefined {
    return this.content.ids.find((it) => it.subject === subject && it.fingerprint === fingerprint)?.id
  }

  writer(id: number, subjects: readonly string[]): SchemaText | undefined {
    return this.content.writers.find((it) => it.id === id && subjects.includes(it.subject))
  }

  rememberId(subject: string, fingerprint: string, id: number): void {
    if (this.id(subject, fingerprint) === id) return
    const others = this.content.ids.filter((it) => it.subject !== subject)
    this.save({ ...this.content, ids: [...others, { subject, fingerprint, id }] })
  }

  rememberWriter(id: number, subject: string, { schema, references }: SchemaText): void {
    const entry = { id, subject, schema, references: [...references] }
    const others = this.content.writers.filter((it) => it.id !== id || it.subject !== subject)
    this.save({ ...this.content, writers: [...others, entry].slice(-WRITERS_MAX) })
  }

  /** Resolves when everything remembered so far is in the file, or has been reported as a problem. */
  async saved(): Promise<void> {
    await this.saving
  }

  private save(content: Content): void {
    this.content = content
    if (this.path === null || this.dirty) return
    this.dirty = true
    const { path } = this
    this.saving = this.saving.then(() => this.write(path))
  }

  private async write(path: string): Promise<void> {
    this.dirty = false
    try {
      await mkdir(dirname(path), { recursive: true })
      // Written aside and renamed, so that a crash leaves the old file or the new one.
      await writeFile(`${path}.${process.pid}.new`, JSON.stringify(this.content))
      await rename(`${path}.${process.pid}.new`, path)
    } catch (error) {
      this.onProblem(`the schema cache ${path} cannot be written: ${String(error)}`)
    }
  }
}

async function readContent(path: string, onProblem: (problem: string) => void): Promise<Content | null> {
  try {
    return Content.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing) onProblem(`the schema cache ${path} cannot be read and is left aside`)
    return null
  }
}
