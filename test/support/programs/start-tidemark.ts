import { NodeProcess } from '../../src/cli/node-process.ts'
import { program } from './program.ts'

/** A `tidemark` command in a process of its own that starts in a third of the time: `job` must be one of the programs too. */
export function startTidemark(args: readonly string[], env: Readonly<Record<string, string>>): NodeProcess {
  const tidemark = program('tidemark')
  return new NodeProcess([tidemark.path, ...args], { env: { ...tidemark.env, ...env } })
}
