// Runs every test and ends with one line, `N passed, N failed`, that says it all. Arguments go to vitest:
// `npm test -- test/property`, `npm test -- --project unit`.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COUNTS_PATH_VARIABLE } from './count-reporter.ts'
import { countsLine, judgeRun, secondAttemptLines, type TestCounts } from './test-counts.ts'

const root = join(import.meta.dirname, '..')
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const reporters = ['--reporter=default', `--reporter=${join(import.meta.dirname, 'count-reporter.ts')}`]
const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
const countsPath = join(folder, 'counts.json')

// In a process of its own, so that whatever it still says while it ends comes before the last line.
const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  env: { ...process.env, [COUNTS_PATH_VARIABLE]: countsPath },
  stdio: ['ignore', 'inherit', 'inherit'],
})
// Ctrl-C reaches vitest too; this process stays to say the last line.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill('SIGTERM'))

const exitCode = await new Promise<number>((resolve, reject) => {
  child.on('error', reject)
  child.on('close', code => resolve(code ?? 1))
})
const counts = judgeRun(readCounts(), exitCode)
rmSync(folder, { recursive: true, force: true })
process.exitCode = counts.failed > 0 ? 1 : 0
process.stdout.write(`${secondAttemptLines(counts)}${countsLine(counts)}\n`)

function readCounts(): TestCounts | undefined {
  try {
    return JSON.parse(readFileSync(countsPath, 'utf8'))
  } catch {
    return undefined
  }
}
