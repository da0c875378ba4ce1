import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('../../../', import.meta.url)
const sources: Readonly<Record<string, string>> = {
  tidemark: 'src/index.ts',
  'tidemark/kafka': 'connectors/kafka/index.ts',
  'tidemark/files': 'connectors/files/index.ts',
  'tidemark/console': 'connectors/console/index.ts',
  'tidemark/postgres': 'connectors/postgres/index.ts',
  'tidemark/testing': 'src/testing/index.ts',
  'tidemark/offsets/sqlite': 'offsets/sqlite/index.ts',
  'tidemark/offsets/memory': 'offsets/memory/index.ts',
}

/** Writes a job module into `folder`, where the package's name is not known, with what it imports by that name made to be found. */
export function writeJob(folder: string, name: string, source: string): string {
  const path = join(folder, name)
  writeFileSync(
    path,
    source.replace(/'(tidemark[\w/]*)'/g, (whole, specifier: string) =>
      sources[specifier] ? `'${new URL(sources[specifier], root)}'` : whole,
    ),
  )
  return path
}
