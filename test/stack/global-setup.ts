import type { TestProject } from 'vitest/node'
import { dockerRefusal } from '../../deploy/local/docker-stack.ts'
import { isGiven } from '../../deploy/local/given-stack.ts'
import type { Log } from '../../deploy/local/log.ts'
import { openStack, STACK_KINDS } from '../../deploy/local/stack.ts'
import type { Stack, StackKind } from '../../deploy/local/stack.ts'
import { StackError } from '../../deploy/local/stack-error.ts'
import { containerStack } from './containers.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Real servers for this run: `inject('stack')`. Shared by all files, so topics, subjects and keys need own names. */
    readonly stack: Omit<Stack, 'close'>
  }
}

/** Opens the servers once for all suites of the project. What cannot be had fails the run: nothing is skipped. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { close, ...stack } = await open(process.env['SLUICE_STACK'], (line) => console.log(line))
  project.provide('stack', stack)
  return close
}

async function open(wanted: string | undefined, log: Log): Promise<Stack> {
  const kind = STACK_KINDS.find((it) => it === wanted)
  if (kind === undefined && wanted !== undefined && wanted !== '')
    throw new StackError(`SLUICE_STACK is ${wanted}, and must be one of ${STACK_KINDS.join(', ')}`)
  return (await openContainers(kind, log)) ?? openStack({ kind: kind ?? (isGiven() ? 'given' : 'local'), log })
}

/** Containers, if they are asked for, or nothing is and they can be had; else null. */
async function openContainers(kind: StackKind | undefined, log: Log): Promise<Stack | null> {
  if (kind !== 'docker' && (kind !== undefined || isGiven() || (await dockerRefusal()) !== null)) return null
  log(`stack: containers, ${kind === undefined ? 'since Docker answers and no addresses are given' : 'as asked for'}`)
  try {
    return await containerStack(log)
  } catch (error) {
    if (kind === 'docker') throw error
    log(`the containers did not start (${error instanceof Error ? error.message : String(error)})`)
    return null
  }
}
