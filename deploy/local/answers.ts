import { once } from 'node:events'
import { connect } from 'node:net'

/** Whether a Redis at 127.0.0.1:`port` serves, be it only to those who log in: one PING, by hand. */
export async function redisAnswers(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 })
  socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    const text = answer.toString()
    return text.startsWith('+PONG') || text.startsWith('-NOAUTH')
  } catch {
    // Not there yet; whoever waits asks again.
    return false
  } finally {
    socket.destroy()
  }
}

/** Whether a GET is answered with success. */
export const httpAnswers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => {
      await response.body?.cancel()
      return response.ok
    },
    () => false,
  )
