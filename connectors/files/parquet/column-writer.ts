import type { ColumnChunk } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import type { Task } from '../../../src/core/values.ts'
import { refusedRow, WrongValue } from '../row-refused.ts'
import { ColumnBuffer } from './column-buffer.ts'
import type { EncodedColumn } from './columns.ts'
import { CODECS, compressPage, type ParquetCompression } from './compress-page.ts'

/** A page ends with the array of rows that takes it over so many bytes: what readers decompress at a time. */
const PAGE_BYTES = 1 << 20

/** Where a page ends: the rows before it, and the bytes of their values. */
type PageEnd = { readonly rows: number; readonly at: number }

/** The values of one column, row group after row group. Nothing is allocated for a value. */
export class ColumnWriter {
  readonly #column: EncodedColumn
  readonly #compression: ParquetCompression
  readonly #out = new ColumnBuffer()
  #pages: PageEnd[] = []
  #rows = 0
  /** A byte a row, 0 where its value is missing; undefined while none is. */
  #levels: Uint8Array | undefined
  #nulls = 0

  constructor(column: EncodedColumn, compression: ParquetCompression) {
    this.#column = column
    this.#compression = compression
  }

  get buffered(): number {
    return this.#out.at + (this.#levels === undefined ? 0 : this.#rows)
  }

  /** Takes this column's value of each row. */
  add(rows: readonly Readonly<Record<string, unknown>>[], placeOf: (index: number) => number, task: Task): void {
    const { name, encode } = this.#column
    const out = this.#out
    let i = 0
    let value: unknown
    try {
      for (; i < rows.length; i++) {
        value = (rows[i] as Readonly<Record<string, unknown>>)[name]
        if (value === null || value === undefined) this.#addNull(this.#rows + i)
        else encode(out, value)
      }
    } catch (error) {
      throw refusedRow(task, placeOf(i), name, value, error)
    }
    this.#rows += rows.length
    const page = this.#pages.at(-1)
    if (out.at - (page?.at ?? 0) >= PAGE_BYTES) this.#pages.push({ rows: this.#rows, at: out.at })
  }

  /** The column's chunk of the row group that is buffered, which begins at `offset` of the file, and its bytes. */
  async flush(offset: number): Promise<{ chunk: ColumnChunk; pieces: Uint8Array[]; bytes: number; uncompressed: number }> {
    const { element, name, bounds } = this.#column
    if (this.#pages.at(-1)?.rows !== this.#rows) this.#pages.push({ rows: this.#rows, at: this.#out.at })
    const pages = await Promise.all(this.#pages.map((page, index) => this.#makePage(this.#pages[index - 1] ?? { rows: 0, at: 0 }, page)))
    const bytes = pages.reduce((sum, { header, body }) => sum + header.length + body.length, 0)
    const uncompressed = pages.reduce((sum, page) => sum + page.header.length + page.uncompressed, 0)
    const chunk: ColumnChunk = {
      file_offset: BigInt(offset),
      meta_data: {
        type: element.type ?? 'BYTE_ARRAY',
        encodings: ['PLAIN', 'RLE'],
        path_in_schema: [name],
        codec: CODECS[this.#compression],
        num_values: BigInt(this.#rows),
        total_uncompressed_size: BigInt(uncompressed),
        total_compressed_size: BigInt(bytes),
        data_page_offset: BigInt(offset),
        statistics: { null_count: BigInt(this.#nulls), ...bounds(this.#out) },
      },
    }
    this.#out.clear()
    this.#pages = []
    this.#rows = 0
    this.#levels = undefined
    this.#nulls = 0
    return { chunk, pieces: pages.flatMap(({ header, body }) => [header, body]), bytes, uncompressed }
  }

  /** Gives back the memory that the next row group would use again. */
  release(): void {
    this.#out.release()
  }

  #addNull(row: number): void {
    if (!this.#column.isNullable) throw new WrongValue('a value: the column is not nullable')
    if (this.#levels === undefined || row >= this.#levels.length) {
      const levels = new Uint8Array(Math.max(1024, 2 * row + 2)).fill(1)
      if (this.#levels !== undefined) levels.set(this.#levels)
      this.#levels = levels
    }
    this.#levels[row] = 0
    this.#nulls += 1
  }

  async #makePage(from: PageEnd, until: PageEnd): Promise<{ header: Uint8Array; body: Uint8Array; uncompressed: number }> {
    const values = this.#out.bytes.subarray(from.at, until.at)
    const plain = this.#column.element.type === 'BOOLEAN' ? packBits(values) : values
    const rows = until.rows - from.rows
    const page = this.#column.isNullable ? Buffer.concat([this.#encodeLevels(from.rows, until.rows), plain]) : plain
    const body = await compressPage(page, this.#compression)
    const header = new ByteWriter(64)
    writePageHeader(header, {
      type: 'DATA_PAGE',
      uncompressed_page_size: page.length,
      compressed_page_size: body.length,
      data_page_header: { num_values: rows, encoding: 'PLAIN', definition_level_encoding: 'RLE', repetition_level_encoding: 'RLE' },
    })
    return { header: header.getBytes(), body, uncompressed: page.length }
  }

  /** Which rows have a value: the length, then runs of bits. */
  #encodeLevels(from: number, until: number): Uint8Array {
    const writer = new ByteWriter(64)
    writer.appendUint32(0)
    const levels = this.#levels
    if (levels === undefined) {
      // One run says that all have one.
      writer.appendVarInt((until - from) << 1)
      writer.appendUint8(1)
    } else {
      // Whole, for a run of bits is filled up to eight, and what came behind it would be out of step.
      const page = new Uint8Array(until - from).fill(1)
      page.set(levels.subarray(from, until))
      writeRleBitPackedHybrid(writer, page, 1)
    }
    const bytes = writer.getBytes()
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - 4, true)
    return bytes
  }
}

function packBits(values: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(values.length / 8))
  for (let i = 0; i < values.length; i++) packed[i >> 3] = (packed[i >> 3] as number) | ((values[i] as number) << (i & 7))
  return packed
}
