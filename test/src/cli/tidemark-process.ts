import { fileURLToPath } from 'node:url'
import { type Ended, NodeProcess, type ProcessOptions } from './node-process.ts'

const script = fileURLToPath(new URL('./tidemark-child.ts', import.meta.url))

/** A `tidemark` command in a process of its own, from the sources. */
export class TidemarkProcess extends NodeProcess {
  constructor(args: readonly string[], options?: ProcessOptions) {
    super(['--conditions=tidemark-source', script, ...args], options)
  }
}

/** Runs a command to its end. */
export function tidemark(args: readonly string[], options?: ProcessOptions): Promise<Ended> {
  return new TidemarkProcess(args, options).ended
}
