import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
const MAX_OUTPUT_BYTES = 1 << 26

/** The name and the files of what `npm pack` made. */
export type Packed = { readonly tarball: string; readonly files: readonly string[] }

/** How a program ended, whichever way. */
export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Packs the package as it would be published, its `dist/` brought up to date first, into `folder`. */
export async function pack(folder: string): Promise<Packed> {
  const { stdout } = await succeed(ROOT, [...npm(), 'pack', '--json', '--silent', '--pack-destination', folder])
  const [packed]: { filename: string; files: { path: string }[] }[] = JSON.parse(stdout)
  if (packed === undefined) throw new Error(`npm pack made nothing: ${stdout}`)
  return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path) }
}

/** Makes an empty project in `folder` and installs `packages` into it. Nothing of this repository can be reached from there. */
export async function installInto(folder: string, packages: readonly string[]): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'somebody', private: true, type: 'module' }))
  await succeed(folder, [...npm(), 'install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', ...packages])
}

/** Compiles what `include` names in `folder` as strictly as TypeScript can, the declarations of packages too. */
export async function compileStrictly(folder: string, include: readonly string[]): Promise<void> {
  const compilerOptions = {
    ...{ target: 'es2024', lib: ['esnext'], types: ['node'], module: 'nodenext', noEmit: true, skipLibCheck: false },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitReturns: true },
    ...{ verbatimModuleSyntax: true, erasableSyntaxOnly: true, allowImportingTsExtensions: true },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  await succeed(folder, [process.execPath, join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder])
}

/** Runs the tests of a file with Node's own runner; what they printed as TAP. */
export async function runNodeTests(folder: string, file: string): Promise<string> {
  return (await succeed(folder, [process.execPath, '--test', '--test-reporter=tap', file])).stdout
}

/** Runs a command line like `npx tidemark plan orders.ts` in `folder`, by what is installed there and nothing else. */
export async function runLine(folder: string, line: string): Promise<Ended> {
  const [program, ...args] = line.split(/\s+/)
  if (program !== 'npx') throw new Error(`only npx lines can be run here, not ${line}`)
  return run(folder, [...npm(), 'exec', '--no', '--', ...args])
}

/** Runs this repository's own command on a job in `folder`, which imports the package that is installed there: two copies of it in one process. */
export async function runOtherCopy(folder: string, args: readonly string[]): Promise<Ended> {
  return run(folder, [process.execPath, join(ROOT, 'bin', 'tidemark.js'), ...args])
}

async function succeed(cwd: string, command: readonly string[]): Promise<Ended> {
  const ended = await run(cwd, command)
  if (ended.code !== 0) throw new Error(`${command.join(' ')} ended with ${ended.code}:\n${ended.stdout}\n${ended.stderr}`)
  return ended
}

function run(cwd: string, [program = '', ...args]: readonly string[]): Promise<Ended> {
  const options = { cwd, env: outerEnvironment(), encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES } as const
  return new Promise(resolve => {
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr: error !== null && stderr === '' ? error.message : stderr })
    })
    child.stdin?.end()
  })
}

/** The npm that runs these tests, or the one that is found. */
function npm(): string[] {
  const path = process.env.npm_execpath
  return path?.endsWith('.js') ? [process.execPath, path] : ['npm']
}

/**
 * What `npm test` adds for this repository is taken out, or the inner npm would take this folder for its own; the Node that runs the tests comes
 * first, as `node_modules/.bin` is not on the path of somebody else's project.
 */
function outerEnvironment(): NodeJS.ProcessEnv {
  const own = /^(npm_(package_.*|lifecycle_.*|config_local_prefix|command)|INIT_CWD|NODE_OPTIONS|NODE_PATH|VITEST.*|TIDEMARK_.*)$/i
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name))
  return { ...Object.fromEntries(kept), PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`, NO_COLOR: '1' }
}
