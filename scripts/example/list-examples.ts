import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', '..', 'examples')
const MANIFEST = 'example.json'

/** The servers that an example can ask for. */
export const SERVICES = ['kafka', 'postgres', 'redis'] as const
export type ServiceName = (typeof SERVICES)[number]

/** A folder of `examples/` with an `example.json`: what it shows in one line, and the servers it needs. Its `main.ts` plays it. */
export type Example = {
  readonly name: string
  readonly folder: string
  readonly shows: string
  readonly needs: readonly ServiceName[]
}

/** Every example there is, by name. @throws Error for an `example.json` that is not one */
export async function listExamples(folder = FOLDER): Promise<Example[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const read = entries.filter(entry => entry.isDirectory()).map(entry => readExample(folder, entry.name))
  const examples = (await Promise.all(read)).filter(example => example !== undefined)
  return examples.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The example of that name, also where it is written as its folder. */
export function findExample(examples: readonly Example[], name: string): Example | undefined {
  const wanted = name.replace(/^(\.\/)?examples\//, '').replace(/\/$/, '')
  return examples.find(example => example.name === wanted)
}

/** The list for people. */
export function showExamples(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(({ name }) => name.length))
  const lines = examples.map(({ name, shows }) => `  npm run example ${name.padEnd(width)}   ${shows}`)
  return ['Examples, each with servers of its own unless KAFKA_BROKERS, POSTGRES_URL or REDIS_URL name some:', '', ...lines].join('\n')
}

async function readExample(parent: string, name: string): Promise<Example | undefined> {
  const folder = join(parent, name)
  let text: string
  try {
    text = await readFile(join(folder, MANIFEST), 'utf8')
  } catch (error) {
    // What examples share, and the demo, which `npm start` runs.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const { shows, needs }: { shows?: unknown; needs?: unknown } = JSON.parse(text)
  const isService = (service: unknown): service is ServiceName => SERVICES.some(known => known === service)
  if (typeof shows !== 'string' || !Array.isArray(needs) || !needs.every(isService)) {
    throw new Error(`${join(folder, MANIFEST)} must be { "shows": "one line", "needs": [some of ${SERVICES.join(', ')}] }.`)
  }
  return { name, folder, shows, needs }
}
