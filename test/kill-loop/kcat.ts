import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** One record as librdkafka shows it; headers as kcat prints them, `name=value,name=value`. */
export type Shown = {
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: string
}

/** Lengths first, so that bytes of any kind can follow. */
const FORMAT = '%p %o %K %S\\n%k%s%h\\n'

/** Every record of a topic up to its end, read_committed, by librdkafka: a client that shares no code with ours. */
export async function readByLibrdkafka(
  brokers: readonly string[],
  topic: string,
  onRecord: (record: Shown) => void,
): Promise<void> {
  const args = ['-C', '-b', brokers.join(','), '-t', topic, '-e', '-q', '-X', 'isolation.level=read_committed']
  const child = spawn('kcat', [...args, '-o', 'beginning', '-f', FORMAT], { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close')
  let problem = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (problem += text))
  let unread = Buffer.alloc(0)
  for await (const chunk of child.stdout) {
    unread = Buffer.concat([unread, chunk as Buffer])
    unread = unread.subarray(takeAll(unread, onRecord))
  }
  const [code] = (await closed) as [number | null]
  if (code !== 0) throw new Error(`kcat could not read ${topic}: ${problem.trim()}`)
  if (unread.length > 0) throw new Error(`kcat ended in the middle of a record of ${topic}`)
}

/** How many bytes were read. */
function takeAll(bytes: Buffer, onRecord: (record: Shown) => void): number {
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf(10, at)
    if (lineEnd === -1) return at
    const line = bytes.toString('latin1', at, lineEnd)
    if (!/^\d+ \d+ -?\d+ -?\d+$/.test(line)) throw new Error(`kcat printed something else than was asked for: ${line}`)
    const [partition = 0, offset = 0, keyLength = 0, valueLength = 0] = line.split(' ').map(Number)
    const keyEnd = lineEnd + 1 + Math.max(0, keyLength)
    const valueEnd = keyEnd + Math.max(0, valueLength)
    const end = bytes.indexOf(10, valueEnd)
    if (end === -1 || valueEnd > bytes.length) return at
    onRecord({
      partition,
      offset,
      key: keyLength < 0 ? null : Buffer.from(bytes.subarray(lineEnd + 1, keyEnd)),
      value: valueLength < 0 ? null : Buffer.from(bytes.subarray(keyEnd, valueEnd)),
      headers: bytes.toString('utf8', valueEnd, end),
    })
    at = end + 1
  }
}

export const headerOf = (headers: string, name: string): string =>
  new RegExp(`(?:^|,)${name.replaceAll('.', '\\.')}=([^,]*)`).exec(headers)?.[1] ?? ''
