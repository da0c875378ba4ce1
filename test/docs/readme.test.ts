import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { completeOptions as completeKafkaSourceOptions } from '../../connectors/kafka/options.ts'
import { completeOptions } from '../../src/streams/options.ts'
import { documentedOptions } from './option-docs.ts'
import { readText, tableAfter } from './readme.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MIB = 1_048_576

function options(heading: string): Map<string, string> {
  return new Map(tableAfter(heading).map(([option = '', value = '']) => [unquote(option), unquote(value)]))
}

function unquote(cell: string): string {
  return cell.replace(/^`(.*)`$/, '$1')
}

/** `500_000` and `8 MiB` as numbers. */
function number(cell: string | undefined): number {
  const [, digits = '', unit] = /^([\d_]+)( MiB)?$/.exec(cell ?? '') ?? []
  return Number(digits.replaceAll('_', '')) * (unit === undefined ? 1 : MIB)
}

describe("README's table of stream's options", () => {
  const table = options('`stream(options)`:')

  test('has every option there is and no other, with the default that its type documents', () => {
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(documentedOptions('src/streams/options.ts', 'StreamOptions')))
  })

  test('has the defaults that the schema fills in', () => {
    const { batchIntervalMs, limits, backpressure, retryForMs, taskTimeoutMs, leaseTtlMs } = completeOptions({ name: 'orders' }).driver()
    const numbers = {
      batchIntervalMs,
      'limits.maxRecordsPerBatch': limits.maxRecordsPerBatch,
      'retry.forMs': retryForMs,
      taskTimeoutMs,
      leaseTtlMs,
    }
    for (const [option, value] of Object.entries(numbers)) expect(number(table.get(option)), option).toBe(value)
    expect(table.get('backpressure')).toBe(`'${backpressure}'`)
  })
})

describe("README's table of kafkaSource's options", () => {
  const table = options('`kafkaSource(options)`:')

  test('has every option there is and no other, with the default that its type documents', () => {
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(documentedOptions('connectors/kafka/options.ts', 'KafkaSourceOptions')))
  })

  test('has the defaults that the schema fills in', () => {
    const complete = completeKafkaSourceOptions({ kafka: { brokers: ['localhost:9092'] }, topics: ['orders'] })
    for (const option of ['metadataMaxAgeMs', 'fetchMaxBytes', 'maxBytesInFlight', 'maxDecompressedBatchBytes'] as const) {
      expect(number(table.get(option)), option).toBe(complete[option])
    }
    expect(table.get('isolation')).toBe(`'${complete.isolation}'`)
    expect(table.get('startingOffsets')).toBe(`{ at: '${complete.startingOffsets.at}' }`)
  })
})

describe('links and paths', () => {
  test.for([
    'README.md',
    'DESIGN.md',
    'CONTRIBUTING.md',
    'docs/offset-stores.md',
    'docs/outputs.md',
    'docs/operations.md',
    'docs/executors.md',
  ])('%s names only files that are there', document => {
    const text = readText(document)
    const links = Array.from(text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g), ([, path = '']) => join(dirname(document), path))
    const paths = Array.from(
      text.matchAll(/`((?:src|connectors|offsets|test|examples|scripts|bin)\/[\w./-]+)(?::\w+)?`/g),
      ([, path = '']) => path,
    )
    const named = [...links, ...paths]
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('DESIGN.md names only functions that their files have', () => {
    const named = Array.from(readText('DESIGN.md').matchAll(/`([\w./-]+\.ts):(\w+)`/g), ([, path = '', name = '']) => ({ path, name }))
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ path, name }) => !new RegExp(`\\b${name}\\b`).test(readText(path)))).toEqual([])
  })

  test('DESIGN.md names only tests that are there', () => {
    const rows = Array.from(readText('DESIGN.md').matchAll(/`(test\/[\w./-]+\.ts|src\/testing\/[\w./-]+\.ts)`: ([^|]+?)(?=;|\|)/g))
    expect(rows.length).toBeGreaterThan(14)
    const missing = rows.filter(([, path = '', title = '']) => !normal(readText(path)).includes(normal(title)))
    expect(missing.map(([row]) => row)).toEqual([])
  })
})

/** A title may be written with either quote. */
function normal(text: string): string {
  return text.replace(/["'`\\]/g, '').trim()
}
