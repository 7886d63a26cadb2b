/**
 * A signal that aborts on SIGINT or SIGTERM, once; a second SIGINT ends the process at once, for whoever does not want
 * to wait. Also aborts when the parent that listened to us is gone. Stops listening when disposed.
 */
export function untilInterrupted(): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted && name === 'SIGINT') process.exit(130)
    stop.abort()
  }
  const onOrphaned = (): void => stop.abort()
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('disconnect', onOrphaned)
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
      process.off('disconnect', onOrphaned)
    },
  }
}
