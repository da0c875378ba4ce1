import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

const ROOT = join(import.meta.dirname, '..', '..', '..')

/** What tests run in processes of their own, by the names of `program`: the command, jobs, and the package as jobs import it. */
const ENTRIES = {
  tidemark: 'test/src/cli/tidemark-child.ts',
  'matrix-driver': 'test/crash/matrix/driver-child.ts',
  'matrix-job': 'test/crash/matrix/job.ts',
  'crash-job': 'test/crash/crash-job.ts',
  'dead-letters-job': 'test/crash/dead-letters-job.ts',
  'api/tidemark': 'src/index.ts',
  'api/tidemark/console': 'connectors/console/index.ts',
  'api/tidemark/files': 'connectors/files/index.ts',
  'api/tidemark/kafka': 'connectors/kafka/index.ts',
  'api/tidemark/postgres': 'connectors/postgres/index.ts',
  'api/tidemark/testing': 'src/testing/index.ts',
  'api/tidemark/offsets/memory': 'offsets/memory/index.ts',
  'api/tidemark/offsets/sqlite': 'offsets/sqlite/index.ts',
  'fleet-job': 'test/crash/executors/fleet-job.ts',
  // Where src/executors/threads.ts finds it, beside itself.
  'threads/session': 'src/executors/threads/session.ts',
}

export type ProgramName = keyof typeof ENTRIES

/** Packages that find files of their own beside their modules: binaries, threads, scripts. */
const IN_PLACE = /^(@node-rs\/|lz4-napi|snappy|piscina|bullmq|pino|pg-native|testcontainers)/

/**
 * Bundles the programs of the tests with all that they import, from the sources, into a folder of this repository. They start more than a thousand
 * processes, and most of such a start is finding, reading and linking some hundred modules: in one file it takes a third. What is imported by several is in
 * one file of its own, so that a command and its job share one engine.
 */
export async function bundlePrograms(): Promise<{ readonly folder: string } & AsyncDisposable> {
  // Inside, so that what stays in place is found in node_modules, and this package by its own name.
  const parent = join(ROOT, '.tidemark')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'programs-'))
  await using bundle = await rolldown({
    input: Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, join(ROOT, path)])),
    platform: 'node',
    resolve: { conditionNames: ['tidemark-source', 'node'] },
    external: IN_PLACE,
    logLevel: 'silent',
  })
  await bundle.write({ dir: folder, format: 'esm' })
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
