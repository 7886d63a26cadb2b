import type { StreamingCertificate } from '../calibration/streaming-certificate.ts'
import type { CertificateWatch } from './certificate-watch.ts'
import type { WatchState } from './watch.ts'

/** The state as JSON: the same state gives the same bytes, and reading them gives the same state. */
export const stateText = (state: WatchState): string =>
  JSON.stringify(state, (_, value: unknown) => (value instanceof Float64Array ? [...value] : value))

/** The text must be one that `stateText` wrote. */
export function readState(text: string): WatchState {
  const state = JSON.parse(text) as WatchState
  return { ...state, certificates: state.certificates.map(withColumns) }
}

function withColumns(watch: CertificateWatch): CertificateWatch {
  const { proof } = watch
  if (proof.kind === 'gathering') return watch
  const { wealth, most } = proof.certificate
  const certificate: StreamingCertificate = {
    ...proof.certificate,
    wealth: Float64Array.from(wealth),
    most: Float64Array.from(most),
  }
  return { ...watch, proof: { kind: 'proving', certificate } }
}
