import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** One source file and what it imports. Paths are relative to the root, with forward slashes. */
export type SourceFile = {
  readonly path: string
  /** Other source files, types included. */
  readonly imports: readonly string[]
  /** Names of packages, without a path inside them; Node's own modules left out. */
  readonly packages: readonly string[]
  /** Statements that import or re-export, counted another way than they are read: what the reader must not miss. */
  readonly statements: number
  readonly staticImports: number
}

// Biome formats every file, so that a statement begins its line and a list between braces holds no quote.
const STATIC = /^(?:import|export)\s+(?:type\s+)?(?:(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:,\s*\{[^}]*\})?)\s+from\s+)?'([^']+)'/gm
// A line of a doc comment begins with a star, and may show an example.
const DYNAMIC = /^(?!\s*\*).*?\b(?:import|require|loadNative(?:<\w+>)?)\(\s*'([^']+)'/gm
const STATEMENT_END = /^(?:import|export|\}).*\bfrom '[^']+'$|^import '[^']+'$/gm

/** Every source file of the package. */
export function readSourceFiles(): SourceFile[] {
  return globSync('{src,connectors,offsets}/**/*.ts', { cwd: ROOT })
    .map(path => path.split(sep).join('/'))
    .sort()
    .map(path => readSourceFile(path, readFileSync(join(ROOT, path), 'utf8')))
}

/** Reads one file's imports out of its text. */
export function readSourceFile(path: string, text: string): SourceFile {
  const statics = specifiers(STATIC, text)
  const all = [...statics, ...specifiers(DYNAMIC, text)]
  const isOwn = (specifier: string) => specifier.startsWith('.')
  return {
    path,
    imports: all.filter(isOwn).map(specifier => resolveFrom(path, specifier)),
    packages: all.filter(specifier => !isOwn(specifier) && !specifier.startsWith('node:')).map(packageName),
    statements: text.match(STATEMENT_END)?.length ?? 0,
    staticImports: statics.length,
  }
}

function specifiers(pattern: RegExp, text: string): string[] {
  return Array.from(text.matchAll(pattern), match => match[1] ?? '')
}

function resolveFrom(path: string, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(path), specifier))
    .split(sep)
    .join('/')
}

function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
