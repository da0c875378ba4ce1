import { createHash } from 'node:crypto'
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { dirname, extname, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ownVersion } from './own-version.ts'
import type { JobOrigin } from './runnable-job.ts'

/** What must be alike for two processes to run the same job, as plain data. It holds no secret. */
export type JobFingerprint = {
  /** Of this package. */
  readonly version: string
  readonly shape: string
  /** Hash of the job's own files: its module and what that imports, outside node_modules. */
  readonly sources: string
  readonly targets: readonly string[]
}

/** The fingerprint of a job on this machine, from what its files hold now. */
export function fingerprintJob({ module, shape, targets }: JobOrigin): JobFingerprint {
  return { version: ownVersion(), shape, sources: module === undefined ? '' : hashSources(module), targets }
}

const FIRST = new Map<string, JobFingerprint>()

/**
 * The fingerprint of a job as this process has it: of its files when it was asked for first, which are those that were imported. Files that were replaced
 * since are other code, which a new thread or process would run and this one does not.
 */
export function fingerprintImported(origin: JobOrigin): JobFingerprint {
  const key = JSON.stringify(origin)
  const first = FIRST.get(key) ?? fingerprintJob(origin)
  FIRST.set(key, first)
  return first
}

/** What differs, in words that go on after "its job differs in …"; empty where the two run the same job. */
export function describeDifference(here: JobFingerprint, there: JobFingerprint): string[] {
  const differences: string[] = []
  if (here.version !== there.version) differences.push(`the version of tidemark (${there.version}, not ${here.version})`)
  if (here.shape !== there.shape) differences.push('its outputs or their stages')
  if (here.sources !== there.sources) differences.push("the job's own source files")
  const added = there.targets.filter(target => !here.targets.includes(target))
  const missing = here.targets.filter(target => !there.targets.includes(target))
  if (added.length + missing.length > 0)
    differences.push(`what it points at (${added.join(', ') || 'nothing'}, not ${missing.join(', ') || 'nothing'})`)
  return differences
}

const OWN_ROOT = dirname(fileURLToPath(import.meta.resolve('tidemark/package.json')))
/** This package's own files, which its version stands for. */
const OWN_FOLDERS = ['src', 'connectors', 'offsets', 'dist'].map(folder => `${OWN_ROOT}${sep}${folder}${sep}`)
/** Files that can import others. */
const MODULE = /^\.[cm]?[jt]s$/
/** What stands in quotes behind from, import and require; what only looks like an import names no file that is there, or does no harm. */
const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])([^'"\n]+)\1/g

/** In the order in which they are met, and without their names: the same tree hashes alike wherever it lies. */
function hashSources(module: string): string {
  const hash = createHash('sha256')
  const seen = new Set<string>()
  const waiting = [realpathSync(fileURLToPath(module))]
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    if (seen.has(file)) continue
    seen.add(file)
    const text = readFileSync(file, 'utf8').replaceAll('\r\n', '\n')
    hash.update(`${text.length}\n`).update(text)
    if (MODULE.test(extname(file))) waiting.push(...importsOf(file, text))
  }
  return hash.digest('hex').slice(0, 16)
}

function importsOf(file: string, text: string): string[] {
  const require = createRequire(file)
  const found = Array.from(text.matchAll(SPECIFIER), ([, , specifier = '']) => {
    try {
      const path = /^(\.|\/|file:)/.test(specifier)
        ? fileURLToPath(new URL(specifier, pathToFileURL(file)))
        : isBuiltin(specifier)
          ? undefined
          : require.resolve(specifier)
      return path !== undefined && statSync(path).isFile() ? realpathSync(path) : undefined
    } catch {
      // Not there, or no path that can be found without running anything: a package, which its own version stands for.
      return undefined
    }
  })
  return found.filter(path => path !== undefined).filter(isOfJob)
}

function isOfJob(path: string): boolean {
  return !path.includes(`${sep}node_modules${sep}`) && !OWN_FOLDERS.some(folder => path.startsWith(folder))
}
