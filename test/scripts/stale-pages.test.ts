import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { cliPage } from '../../scripts/docs/cli-page.ts'
import { findStale } from '../../scripts/docs/stale-pages.ts'

test('a page that was changed by hand is stale, and so is one that is not there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-pages-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'same.md'), 'one')
  await writeFile(join(folder, 'changed.md'), 'two, by hand')
  const stale = await findStale(folder, { 'same.md': () => 'one', 'changed.md': async () => 'two', 'missing.md': () => 'three' })
  expect(Object.fromEntries(stale)).toEqual({ 'changed.md': 'two', 'missing.md': 'three' })
})

test('every command is on the page of commands, those of groups too, with its arguments and flags', () => {
  const page = cliPage()
  for (const command of ['run', 'plan', 'offsets show', 'offsets rewind', 'streams', 'streams rm', 'replay', 'executor', 'status']) {
    expect(page).toContain(`\n## \`tidemark ${command}\`\n`)
  }
  expect(page).toContain('| `--until <end>` |')
  expect(page).toContain('| `<job>` | the job module')
})
