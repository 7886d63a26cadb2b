import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const COMPOSE_FILE = join(import.meta.dirname, '..', '..', 'docker-compose.yml')

type Compose = { readonly services: Readonly<Record<string, { readonly image: string }>> }

/** The image the compose file uses for a service, so that its tag stands in one place. */
export function imageOf(service: string): string {
  const { services } = parse(readFileSync(COMPOSE_FILE, 'utf8'), { merge: true }) as Compose
  const image = services[service]?.image
  if (image === undefined) throw new Error(`${COMPOSE_FILE} has no service ${service}`)
  return image
}
