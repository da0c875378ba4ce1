import { readText } from './readme.ts'

/** A fenced block of a document: the file it is, by the comment in its first line, or one of its own. */
export type CodeBlock = { readonly file: string; readonly code: string }

/** The TypeScript of a document, block by block. */
export function codeBlocks(document: string): CodeBlock[] {
  return Array.from(readText(document).matchAll(/^```ts\n([\s\S]*?)^```$/gm), ([, code = ''], at) => ({
    file: /^\/\/ ([\w-]+\.ts)\b/.exec(code)?.[1] ?? `block-${at + 1}.ts`,
    code,
  }))
}
