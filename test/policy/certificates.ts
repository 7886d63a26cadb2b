import type { Certificate } from '../../src/commands/certificate-file.ts'
import { certificateId } from '../../src/policy/certificate-file.ts'

type CertificateContent = Omit<Certificate, 'id'>

const CONTENT: CertificateContent = {
  model: { name: 'm', version: '3' },
  action: 'listing.remove',
  scoreKind: 'probability',
  segment: null,
  budget: 'per-execution',
  risk: 0.01,
  assurance: 0.95,
  threshold: 0.9123456789012345,
  labels: 4000,
  labelledExecuted: 1000,
  labelledErrors: 3,
  upperBound: 0.0077,
  coverage: 0.25,
  grid: { size: 80, hash: 'a'.repeat(32) },
  clusters: null,
  window: null,
  dataDigest: { labelled: 'b'.repeat(32), unlabelled: 'c'.repeat(32) },
  made: {
    labelled: 'labelled.csv',
    unlabelled: 'unlabelled.csv',
    columns: { score: 'score', label: 'right', segment: null, cluster: null, time: null },
    labelMeans: 'right',
    jointly: false,
    seed: 1,
  },
  issuedAt: '2026-11-01T00:00:00.000Z',
  expiresAt: '2027-02-01T00:00:00.000Z',
  promise: 'With probability of at least 95 % …',
}

/** A certificate as its file has it, with the id of what it says. */
export function written(change: Partial<CertificateContent> & Readonly<Record<string, unknown>> = {}): Certificate {
  const content = { ...CONTENT, ...change }
  return { id: certificateId(content), ...content }
}

export const certificatesText = (...all: readonly object[]): string =>
  `${JSON.stringify({ certificates: all.length === 0 ? [written()] : all }, null, 2)}\n`
