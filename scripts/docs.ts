// Writes the pages of docs/ that are made from the sources, `npm run docs`. With --check it writes nothing and fails where one is stale.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cliPage } from './docs/cli-page.ts'
import { optionsPage } from './docs/options-page.ts'

const root = join(import.meta.dirname, '..')
const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/options.md': optionsPage,
  'docs/cli.md': cliPage,
}

const isCheck = process.argv.includes('--check')
for (const [path, make] of Object.entries(pages)) {
  const made = await make()
  const there = await readFile(join(root, path), 'utf8').catch(() => '')
  if (made === there) continue
  if (isCheck) {
    process.stdout.write(`${path} is not what the sources say. npm run docs writes it.\n`)
    process.exitCode = 1
  } else {
    await writeFile(join(root, path), made)
    process.stdout.write(`${path} written\n`)
  }
}
