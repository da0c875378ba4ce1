import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { disagreements } from '../../scripts/docs/check-options.ts'
import { entryPoints } from '../../scripts/docs/entry-points.ts'
import { slug, table } from '../../scripts/docs/markdown.ts'
import { optionsPage } from '../../scripts/docs/options-page.ts'
import { readSchemas } from '../../scripts/docs/read-schemas.ts'
import { type TakesOptions, type TypedOption, TypeReader } from '../../scripts/docs/read-types.ts'
import { parseOptions } from '../../src/util/parse-options.ts'

const schema = z.strictObject({
  size: z.int().min(1).default(4).describe('a whole number, from 1'),
  limits: z.strictObject({ bytes: z.number().default(8 * 1_048_576) }).prefault({}),
})

function option(name: string, changes: Partial<TypedOption> = {}): TypedOption {
  return { path: name.split('.'), type: 'number', prose: '', fallback: '', presence: 'optional', isGroup: false, ...changes }
}

function takes(...options: readonly TypedOption[]): TakesOptions {
  return { call: 'make(options)', name: 'make', kind: 'function', prose: '', forms: [[]], options, at: 0 }
}

const make = (given: unknown) => parseOptions(schema, given, 'make')
const whole = [option('size', { fallback: '4' }), option('limits', { isGroup: true }), option('limits.bytes', { fallback: '8 MiB' })]

async function troubles(...options: readonly TypedOption[]): Promise<string[]> {
  const what = takes(...options)
  return disagreements(what, await readSchemas(what, make))
}

describe('types and schemas', () => {
  test('that agree have nothing to be said of', async () => {
    expect(await troubles(...whole)).toEqual([])
  })

  test('that know other names are told, each way and inside of options', async () => {
    expect(
      await troubles(option('size', { fallback: '4' }), option('colour'), option('limits', { isGroup: true }), option('limits.records')),
    ).toEqual([
      'make has colour in its type, and its schema does not know it',
      'make: limits has records in its type, and its schema does not know it',
      'make: limits has bytes in its schema, and its type does not',
    ])
  })

  test('with other defaults are told', async () => {
    const [size, limits] = whole
    expect(await troubles(...(size && limits ? [size, limits] : []), option('limits.bytes', { fallback: '4 MiB' }))).toEqual([
      'make: limits.bytes has the default 8388608, and its type says @default 4 MiB',
    ])
  })

  test('give defaults, and accepted forms in the words of the error', async () => {
    const facts = await readSchemas(takes(...whole), make)
    expect(facts.defaultOf(['limits', 'bytes'])).toBe(8 * 1_048_576)
    expect(facts.acceptedOf(['size'])).toBe('a whole number, from 1')
  })
})

describe('the reader of types', () => {
  const reader = new TypeReader()
  afterAll(() => reader.close())

  test('finds forms, nested options, and leaves out what is there only to be left out', () => {
    const sink = reader.exportsOf('connectors/redis/index.ts').find(({ name }) => name === 'redisSink')
    expect(sink?.forms).toContainEqual(['url', 'hash'])
    expect(sink?.forms).toHaveLength(8)
    expect(sink?.options.find(({ path }) => path.join('.') === 'string.ttlMs')).toMatchObject({
      fallback: 'for ever',
      presence: 'optional',
    })
  })

  test('reads comments, defaults and texts of a choice', () => {
    const stream = reader.exportsOf('src/index.ts').find(({ name }) => name === 'stream')
    const guarantee = stream?.options.find(({ path }) => path[0] === 'guarantee')
    expect(guarantee).toMatchObject({ prose: 'Refuses to start with an output that promises less.', fallback: 'none demanded' })
    expect(guarantee?.type.split(' | ').sort()).toEqual(["'at-least-once'", "'exactly-once'", "'idempotent'"])
  })
})

test('entry points are those of package.json, each store by its name', () => {
  const names = entryPoints().map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['tidemark', 'tidemark/kafka', 'tidemark/offsets/sqlite', 'tidemark/testing']))
})

test('every factory of the package is on the page of options', async () => {
  const page = await optionsPage()
  const calls = [
    'stream',
    'kafkaSource',
    'kafkaSink',
    'postgresSink',
    'redisSink',
    'jsonlSink',
    'threads',
    'inProcess',
    'bullmq',
    'sqliteOffsets',
  ]
  for (const name of calls) expect(page).toContain(`### \`${name}(options)\``)
})

test('a cell may hold what ends one, and an anchor is what a heading gives', () => {
  expect(table(['a'], [['x | y']])).toBe('| a |\n| --- |\n| x \\| y |')
  expect(slug('job.start(options)')).toBe('jobstartoptions')
})
