import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** The README's code block of a language that begins with `first`. @throws where there is none: a test of nothing would pass */
export function codeBlock(language: string, first: string): string {
  const blocks = Array.from(
    readText('README.md').matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')),
    ([, code = '']) => code,
  )
  const found = blocks.find(code => code.startsWith(first))
  if (found === undefined) throw new Error(`README.md has no \`\`\`${language} block that begins with ${first}`)
  return found
}

/** The rows of the first table after `heading`, each with its cells as they are written. */
export function tableAfter(heading: string, document = 'README.md'): string[][] {
  const text = readText(document)
  const start = text.indexOf(`\n${heading}\n`)
  if (start < 0) throw new Error(`${document} has no line ${heading}`)
  const lines = text.slice(start + heading.length + 2).split('\n')
  const first = lines.findIndex(line => line.startsWith('|'))
  const rest = lines.slice(first)
  const rows = rest.slice(
    0,
    Math.max(
      0,
      rest.findIndex(line => !line.startsWith('|')),
    ),
  )
  return rows.slice(2).map(row =>
    row
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
}
