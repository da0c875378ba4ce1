import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChunkOptions, chunkRows, type RowChunk } from '../../../connectors/http/chunk-rows.ts'
import { requestInfo } from '../../../connectors/http/deliver-chunk.ts'
import { httpTask } from './http-task.ts'

const task = httpTask()

function optionsOf(options: Partial<ChunkOptions>): ChunkOptions {
  return { maxRows: 500, maxBytes: 1_000_000, body: 'json', describe: chunk => requestInfo(task, chunk, 'key'), ...options }
}

async function chunksOf(arrays: readonly (readonly unknown[])[], options: Partial<ChunkOptions> = {}): Promise<RowChunk[]> {
  async function* rows() {
    yield* arrays
  }
  return Array.fromAsync(chunkRows(rows(), task, optionsOf(options)))
}

const text = ({ body }: RowChunk) => Buffer.from(body).toString()

test('chunks hold every row once, in order, within both limits, however the rows were fetched', async () => {
  const rows = fc.array(fc.record({ text: fc.string({ unit: 'grapheme', maxLength: 30 }) }), { maxLength: 60 })
  const limits = fc.record({ maxRows: fc.integer({ min: 1, max: 9 }), maxBytes: fc.integer({ min: 600, max: 900 }) })
  const body = fc.constantFrom('json' as const, 'ndjson' as const)
  await fc.assert(
    fc.asyncProperty(rows, limits, body, fc.integer({ min: 1, max: 7 }), async (rows, { maxRows, maxBytes }, body, step) => {
      const arrays = Array.from({ length: Math.ceil(rows.length / step) }, (_, at) => rows.slice(at * step, (at + 1) * step))
      const chunks = await chunksOf(arrays, { maxRows, maxBytes, body })
      const parse = (chunk: RowChunk): unknown[] =>
        body === 'json'
          ? JSON.parse(text(chunk))
          : text(chunk)
              .trimEnd()
              .split('\n')
              .map(line => JSON.parse(line))
      expect(chunks.flatMap(parse)).toEqual(rows)
      expect(chunks).toEqual(await chunksOf([rows], { maxRows, maxBytes, body }))
      for (const [at, chunk] of chunks.entries()) {
        expect(chunk.number).toBe(at)
        expect(chunk.body.length).toBeLessThanOrEqual(maxBytes)
        expect(parse(chunk)).toHaveLength(chunk.lastRow - chunk.firstRow + 1)
        expect(chunk.firstRow).toBe((chunks[at - 1]?.lastRow ?? 0) + 1)
      }
    }),
  )
})

test('a body is as full as its bytes allow, and not a byte fuller', async () => {
  const row = 'x'.repeat(8)
  // Each row has 10 bytes with its quotes: [ + 10 + , + 10 + ] are 23.
  expect((await chunksOf([[row, row]], { maxBytes: 23 })).map(text)).toEqual([`["${row}","${row}"]`])
  expect(await chunksOf([[row, row]], { maxBytes: 22 })).toHaveLength(2)
  expect(await chunksOf([[row]], { maxBytes: 12 })).toHaveLength(1)
  await expect(chunksOf([[row]], { maxBytes: 11 })).rejects.toThrow(/row 1 .* has 12 bytes/)
  await expect(chunksOf([['a', row]], { maxBytes: 11 })).rejects.toThrow(/row 2 .* has 12 bytes/)
})

test('a row that fits into no request is named, with what to do', async () => {
  await expect(chunksOf([[{ id: 1 }], [{ id: 'x'.repeat(100) }]], { maxBytes: 50 })).rejects.toMatchObject({
    code: 'RECORD',
    message: expect.stringMatching(
      /^The JSON of row 2 of orders\/3 \[120, 180\) \(batch 7\) has 111 bytes, .* at most 50 .* raise maxBytesPerRequest/s,
    ),
    details: { row: 2, output: 'http:api' },
  })
})

test('no rows make no chunk', async () => {
  expect(await chunksOf([])).toEqual([])
  expect(await chunksOf([[], []])).toEqual([])
})

test('a function of the rows makes the body, and is told which rows and under which key', async () => {
  const told: unknown[] = []
  const body = (rows: readonly never[], { chunk, firstRow, lastRow, idempotencyKey }: ReturnType<typeof requestInfo>) => {
    told.push({ chunk, firstRow, lastRow, idempotencyKey })
    return JSON.stringify({ events: rows })
  }
  const chunks = await chunksOf([[1, 2, 3]], { body, maxRows: 2 })
  expect(chunks.map(text)).toEqual(['{"events":[1,2]}', '{"events":[3]}'])
  expect(told).toEqual([
    { chunk: 0, firstRow: 1, lastRow: 2, idempotencyKey: 'key' },
    { chunk: 1, firstRow: 3, lastRow: 3, idempotencyKey: 'key' },
  ])
  const bytes = Uint8Array.of(0, 255)
  expect((await chunksOf([[1]], { body: () => bytes }))[0]?.body).toBe(bytes)
})

test('a function that throws, gives too much, or gives no body is told with its rows', async () => {
  const failing = chunksOf([[1, 2]], {
    body: () => {
      throw new TypeError('no such field')
    },
  })
  await expect(failing).rejects.toMatchObject({
    code: 'TASK_FAILED',
    message: 'The body function of output http:api failed on rows 1 to 2 of orders/3 [120, 180) (batch 7): no such field',
  })
  await expect(chunksOf([[1]], { body: () => 'xx', maxBytes: 1 })).rejects.toThrow(/has 2 bytes, .* lower maxRowsPerRequest/)
  await expect(chunksOf([[1]], { body: () => undefined as never })).rejects.toThrow(/gave a undefined for row 1 of/)
})
