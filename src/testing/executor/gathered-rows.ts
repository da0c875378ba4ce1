import assert from 'node:assert/strict'
import type { MemoryRecord } from '../memory-log.ts'
import { type DefineTest, group, refused } from './contract.ts'
import { contractRecord } from './contract-source.ts'

/** Rows that go back to the driver. */
export function defineGatheredRowTests(test: DefineTest): void {
  test('gathered rows come back as they were: records, views, dates, big integers, maps, sets and bytes', async ({ stream, give }) => {
    const [result] = await give(group(stream, { topic: 'rich', until: 5, outputs: ['gathered'] }))
    const [record, view, kinds, text, nested] = result?.gathered ?? []
    assertRecord(record, 0)
    assert.ok(Buffer.isBuffer(view))
    assert.equal(view.toString(), 'view')
    assert.deepEqual(kinds, {
      at: new Date(1_700_000_000_002),
      id: 2n ** 64n,
      byName: new Map([['a', new Set([1, 2])]]),
      nothing: undefined,
      none: null,
      notANumber: Number.NaN,
      nested: [{ bytes: Buffer.from([0, 255]) }, [new Uint8Array([7, 8])], 'é'],
    })
    assert.equal(text, 'only text')
    assertRecord((nested as { readonly of: { readonly the: unknown } }).of.the, 4)
  })

  test('rows are gathered in the order of their offsets', async ({ stream, give }) => {
    const [result] = await give(group(stream, { until: 100, outputs: ['gathered'] }))
    assert.deepEqual(
      result?.gathered?.map(row => (row as MemoryRecord).offset),
      Array.from({ length: 100 }, (_, at) => at),
    )
  })
}

/** Where rows have to be copied, some cannot. */
export function defineUnsendableRowTests(test: DefineTest): void {
  test('gathered rows that hold functions end the group with the output by its name, and the worker goes on', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'functions', until: 5, outputs: ['gathered'] })), 'CONFIG')
    assert.equal(error.retryable, false)
    assert.match(error.message, /gathered/)
    await give(group(stream, { index: 1 }))
  })
}

/** A record has its seven fields, whether they are its own or behind getters. */
function assertRecord(actual: unknown, offset: number): void {
  const { key, value, timestamp, headers } = contractRecord(0, offset)
  const record = actual as MemoryRecord
  assert.deepEqual([record.topic, record.partition, record.offset, record.timestamp], ['rich', 0, offset, timestamp])
  assert.deepEqual([record.key?.toString() ?? null, record.value?.toString()], [key, value])
  assert.deepEqual(record.headers, headers)
  for (const bytes of [record.key, record.value, ...record.headers.map(([, header]) => header)])
    assert.ok(bytes === null || Buffer.isBuffer(bytes))
}
