import { readFileSync } from 'node:fs'

/** The version of this package. By its own name, for the sources and what is built of them lie at different depths. */
export function ownVersion(): string {
  const packageJson: { version: string } = JSON.parse(readFileSync(new URL(import.meta.resolve('tidemark/package.json')), 'utf8'))
  return packageJson.version
}
