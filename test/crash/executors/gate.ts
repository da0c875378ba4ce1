import { existsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 20

/** Lets tasks of held fleets through, those that wait and those that come. */
export function openGate(folder: string): void {
  writeFileSync(gateIn(folder), '')
}

/** A task's side: says that it is held, and of which epoch, and goes on when the gate is open. */
export async function waitAtGate(folder: string, epoch: number): Promise<void> {
  if (existsSync(gateIn(folder))) return
  writeSync(2, `held ${epoch}\n`)
  while (!existsSync(gateIn(folder))) await sleep(LOOK_EVERY_MS)
  writeSync(2, `through ${epoch}\n`)
}

function gateIn(folder: string): string {
  return join(folder, 'gate-is-open')
}
