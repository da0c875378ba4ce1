// Writes the pages of docs/ that are made from the sources, `npm run docs`. With --check it writes nothing and fails where one is stale.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cliPage } from './docs/cli-page.ts'
import { optionsPage } from './docs/options-page.ts'
import { findStale } from './docs/stale-pages.ts'

const root = join(import.meta.dirname, '..')
const stale = await findStale(root, { 'docs/options.md': optionsPage, 'docs/cli.md': cliPage })

for (const [path, made] of stale) {
  if (process.argv.includes('--check')) {
    process.stdout.write(`${path} is not what the sources say. npm run docs writes it.\n`)
    process.exitCode = 1
  } else {
    await writeFile(join(root, path), made)
    process.stdout.write(`${path} written\n`)
  }
}
