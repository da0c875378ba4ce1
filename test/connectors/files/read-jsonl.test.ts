import { truncateSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { jsonlSink, listFiles, type TextCompression } from '../../../connectors/files/index.ts'
import { drive, runBatch } from './batches.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Row = { readonly id: number; readonly note: string }

/** The second batch is longer than one piece of what is compressed; texts hold all that somebody takes for the end of a line. */
const BATCHES: readonly (readonly Row[])[] = [
  [{ id: 1, note: 'é中😀 \u2028 \u2029 \u0085 \r \n \r\n' }],
  Array.from({ length: 3_000 }, (_, at) => ({ id: 2 + at, note: `${at}${'é'.repeat(1_000)}` })),
  [],
  [{ id: 9_999, note: '' }],
]

async function written(compression: TextCompression, roll: object) {
  const directory = temporaryFolder()
  const sink = await drive(() => jsonlSink<Row>({ directory, compression, ...roll }), 1, 0)
  for (const [index, rows] of BATCHES.entries()) await runBatch(sink, index + 1, [rows])
  return { directory, sink }
}

async function readBack(sink: Awaited<ReturnType<typeof written>>['sink']): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const some of sink.readBack?.({ stream: 'orders', signal: new AbortController().signal } as never) ?? []) rows.push(...some)
  return rows
}

describe.each(['none', 'gzip', 'zstd'] as const)('rows read back from JSONL, %s', compression => {
  test.each<[string, object]>([
    ['files a range', {}],
    ['parts of several batches in one file', { rollMs: 3_000 }],
    ['parts that wait', { rollBytes: 1e9 }],
  ])('are all that was written, each once: %s', async (_name, roll) => {
    const { sink } = await written(compression, roll)
    expect(await readBack(sink)).toEqual(BATCHES.flat())
  })

  test('of a file that was cut are an error, and never fewer', async () => {
    const { directory, sink } = await written(compression, { rollMs: 3_000 })
    const [file] = await listFiles(directory)
    truncateSync(file?.path ?? '', (file?.bytes ?? 0) - 10)
    await expect(readBack(sink)).rejects.toThrow()
  })
})
