// Makes a bare clone ready: packages, `dist/`, and `npx tidemark`. Run before `npm start`, `npm test`, `npm run check` and
// `npm run bench`. Plain JavaScript without dependencies, since it runs on the Node a stranger happens to have (18 or newer);
// what comes after it runs on the Node of `node_modules/.bin`. When nothing is to do it costs a few milliseconds.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const localNode = join(modules, '.bin', 'node')
const workFolder = join(root, '.tidemark')
const lockPath = join(workFolder, 'set-up.lock')
const packagesMark = join(modules, '.tidemark-set-up')
const distMark = join(root, 'dist', '.tidemark-set-up')
const SOURCE_FOLDERS = ['src', 'connectors', 'offsets']
const LOCK_STALE_MS = 15 * 60_000
const LOCK_POLL_MS = 100

class SetUpError extends Error {}

function say(line) {
  process.stderr.write(`set-up: ${line}\n`)
}

/** The text of a file, or `undefined` where there is none. */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Names what the installed packages must have come from. */
function packagesFingerprint() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

/** Names the sources that `dist/` must have come from, by path, size and time; `undefined` while there are none. */
function sourcesFingerprint() {
  const files = SOURCE_FOLDERS.filter(folder => existsSync(join(root, folder))).flatMap(folder => filesUnder(folder))
  if (!files.some(file => file.endsWith('.ts'))) return undefined
  const hash = createHash('sha256')
  for (const file of [...files, 'tsconfig.json', 'tsconfig.build.json'].sort()) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function filesUnder(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesUnder(path) : [path]
  })
}

/** Runs one program to its end, quietly; what it said is shown only when it fails. */
function run(program, args, { env = process.env, onFailure }) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
    shell: process.platform === 'win32',
  })
  if (error !== undefined) throw new SetUpError(`${onFailure}\n${error.message}`)
  if (status !== 0) throw new SetUpError([onFailure, stdout.trim(), stderr.trim()].filter(Boolean).join('\n'))
}

/** The environment without `node_modules/.bin`: `npm ci` deletes the `node` in there while npm itself runs on it. */
function outerEnvironment() {
  const env = { ...process.env }
  for (const name of Object.keys(env)) {
    if (name.toUpperCase() !== 'PATH') continue
    env[name] = env[name]
      .split(delimiter)
      .filter(folder => folder !== join(modules, '.bin'))
      .join(delimiter)
  }
  return env
}

function installPackages(fingerprint) {
  const startedAt = Date.now()
  say('installing packages (npm ci) …')
  const env = outerEnvironment()
  const quiet = ['--loglevel=error', '--no-audit', '--no-fund']
  // Scripts are off but for the one package that needs its own: `node` fetches the Node that everything else runs on.
  run('npm', ['ci', '--include=dev', '--include=optional', '--ignore-scripts', ...quiet], {
    env,
    onFailure:
      'The packages could not be installed: `npm ci` failed. Check the network and the registry npm is configured for, then run this again.',
  })
  run('npm', ['rebuild', 'node', '--ignore-scripts=false', '--foreground-scripts', ...quiet], {
    env,
    onFailure: 'The Node of this project (the development dependency `node`) could not be installed: `npm rebuild node` failed.',
  })
  run(localNode, ['--version'], { onFailure: `The installed Node does not run: ${localNode} --version failed.` })
  writeFileSync(packagesMark, fingerprint)
  say(`packages installed in ${seconds(startedAt)}`)
}

function buildDist(fingerprint) {
  const startedAt = Date.now()
  // Aside first, then swapped in, so that a process reading dist/ meanwhile never sees half a build.
  const next = join(workFolder, 'dist-next')
  rmSync(next, { recursive: true, force: true })
  const tsc = join(modules, 'typescript', 'bin', 'tsc')
  run(localNode, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', next], {
    onFailure: 'dist/ could not be built: tsc found errors in the sources.',
  })
  writeFileSync(join(next, '.tidemark-set-up'), fingerprint)
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  renameSync(next, join(root, 'dist'))
  say(`dist/ built in ${seconds(startedAt)}`)
}

function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`
}

function lstatOf(path) {
  try {
    return lstatSync(path)
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Removes the lock of a set-up that died; whether it did. */
function dropStaleLock() {
  const lock = lstatOf(lockPath)
  if (lock === undefined) return true
  const pid = Number(readlinkSync(lockPath))
  if (isAlive(pid) && Date.now() - lock.mtimeMs < LOCK_STALE_MS) return false
  // By rename and not by unlink: of two that saw the same dead lock only one moves it away; without that the slower one would
  // remove the lock which the faster one has just taken.
  const aside = `${lockPath}.${process.pid}`
  renameSync(lockPath, aside)
  if (Number(readlinkSync(aside)) !== pid) {
    renameSync(aside, lockPath)
    return false
  }
  unlinkSync(aside)
  return true
}

/** Runs `work` while no other set-up of this clone runs. The lock is a link that points to its owner's process id: made in one step. */
function whileLocked(work) {
  mkdirSync(workFolder, { recursive: true })
  let isWaiting = false
  for (;;) {
    try {
      symlinkSync(String(process.pid), lockPath)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    try {
      if (dropStaleLock()) continue
    } catch (error) {
      if (error.code === 'ENOENT') continue
      throw error
    }
    if (!isWaiting) say('waiting for another set-up of this clone …')
    isWaiting = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS)
  }
  try {
    work()
  } finally {
    rmSync(lockPath, { force: true })
  }
}

function arePackagesReady() {
  return textOf(packagesMark) === packagesFingerprint() && existsSync(localNode)
}

function isDistReady() {
  const fingerprint = sourcesFingerprint()
  return fingerprint === undefined || textOf(distMark) === fingerprint
}

/** `npx tidemark` finds the command of this clone. */
function linkCommand() {
  const link = join(modules, '.bin', 'tidemark')
  if (lstatOf(link) === undefined) symlinkSync(join('..', '..', 'bin', 'tidemark.js'), link)
}

function setUp() {
  if (!arePackagesReady() || !isDistReady()) {
    whileLocked(() => {
      // Looked at again under the lock: whoever held it before may have done the work.
      if (!arePackagesReady()) installPackages(packagesFingerprint())
      if (!isDistReady()) buildDist(sourcesFingerprint())
    })
  }
  linkCommand()
}

try {
  setUp()
} catch (error) {
  if (!(error instanceof SetUpError)) throw error
  say(error.message)
  process.exitCode = 1
}
