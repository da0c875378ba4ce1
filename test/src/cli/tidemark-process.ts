import { fileURLToPath } from 'node:url'
import { hasPrograms, program } from '../../support/programs/program.ts'
import { type Ended, NodeProcess, type ProcessOptions } from './node-process.ts'

const script = fileURLToPath(new URL('./tidemark-child.ts', import.meta.url))

/** A `tidemark` command in a process of its own: from the sources, or from what is made of them where there are programs. */
export class TidemarkProcess extends NodeProcess {
  constructor(args: readonly string[], options: ProcessOptions = {}) {
    const made = hasPrograms() ? program('tidemark') : undefined
    super(['--conditions=tidemark-source', made?.path ?? script, ...args], { ...options, env: { ...made?.env, ...options.env } })
  }
}

/** Runs a command to its end. */
export function tidemark(args: readonly string[], options?: ProcessOptions): Promise<Ended> {
  return new TidemarkProcess(args, options).ended
}
