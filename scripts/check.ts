// Everything about this repository that can be checked without running it, side by side. What a check says is shown only when it
// fails. To add one, add a line to `checks`.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'

type Check = { readonly name: string; readonly command: readonly [string, ...string[]] }
type Outcome = { readonly name: string; readonly isPassed: boolean; readonly tookMs: number; readonly output: string }

const root = join(import.meta.dirname, '..')

const checks: Check[] = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'lint and format', command: ['biome', 'check', '--error-on-warnings'] },
  { name: 'unused code', command: ['knip'] },
  { name: 'pages', command: ['node', '--conditions=tidemark-source', join(root, 'scripts', 'docs.ts'), '--check'] },
]
// What the package exports is looked at as it is built: set-up, which runs before this, brings `dist/` up to date or says why it cannot.
if (existsSync(join(root, 'dist'))) {
  checks.push({ name: 'declarations', command: ['tsc', '-p', 'test/package/declarations'] })
  checks.push({ name: 'package', command: ['publint', '--strict', '--pack', 'false'] })
} else {
  process.stdout.write('check: there is no dist/, so the package as it is built was not checked. npm run build makes it.\n')
  process.exitCode = 1
}

const outcomes = await Promise.all(checks.map(runCheck))

for (const { name, output } of outcomes.filter(outcome => !outcome.isPassed)) {
  process.stdout.write(`${styleText('red', `${name} failed`)}\n${output.trimEnd()}\n\n`)
}
const summary = outcomes.map(({ name, isPassed, tookMs }) => `${name} ${isPassed ? 'ok' : 'FAILED'} ${(tookMs / 1000).toFixed(1)} s`)
process.stdout.write(`check: ${summary.join(' · ')}\n`)
if (outcomes.some(outcome => !outcome.isPassed)) process.exitCode = 1

function runCheck({ name, command: [program, ...args] }: Check): Promise<Outcome> {
  const startedAt = performance.now()
  const script = program === 'node' ? [] : [join(root, 'node_modules', '.bin', program)]
  const child = spawn(process.execPath, [...script, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', chunk => chunks.push(chunk))
  child.stderr.on('data', chunk => chunks.push(chunk))
  return new Promise(resolve => {
    const end = (isPassed: boolean) =>
      resolve({ name, isPassed, tookMs: performance.now() - startedAt, output: Buffer.concat(chunks).toString('utf8') })
    child.on('error', error => {
      chunks.push(Buffer.from(error.message))
      end(false)
    })
    child.on('close', code => end(code === 0))
  })
}
