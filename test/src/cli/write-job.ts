import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { hasPrograms, program } from '../../support/programs/program.ts'

const root = new URL('../../../', import.meta.url)
const SOURCES = {
  tidemark: 'src/index.ts',
  'tidemark/kafka': 'connectors/kafka/index.ts',
  'tidemark/files': 'connectors/files/index.ts',
  'tidemark/console': 'connectors/console/index.ts',
  'tidemark/postgres': 'connectors/postgres/index.ts',
  'tidemark/testing': 'src/testing/index.ts',
  'tidemark/offsets/sqlite': 'offsets/sqlite/index.ts',
  'tidemark/offsets/memory': 'offsets/memory/index.ts',
} as const

/** Writes a job module into `folder`, where the package's name is not known, with what it imports by that name made to be found. */
export function writeJob(folder: string, name: string, source: string): string {
  const path = join(folder, name)
  writeFileSync(
    path,
    source.replace(/'(tidemark[\w/]*)'/g, (whole, specifier: string) => (isEntryPoint(specifier) ? `'${urlOf(specifier)}'` : whole)),
  )
  return path
}

function isEntryPoint(specifier: string): specifier is keyof typeof SOURCES {
  return specifier in SOURCES
}

/** Of the sources, or of the module that shares the engine of the command where that is a program. */
function urlOf(specifier: keyof typeof SOURCES): URL {
  return hasPrograms() ? pathToFileURL(program(`api/${specifier}`).path) : new URL(SOURCES[specifier], root)
}
