import type { RowGroup, SchemaElement } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'
import type { Task } from '../../../src/core/values.ts'
import type { Format, RowEncoder } from '../formats/format.ts'
import { asObject, refusedRow } from '../row-refused.ts'
import { ColumnWriter } from './column-writer.ts'
import { compileColumns, type EncodedColumn, type ParquetColumn } from './columns.ts'
import type { ParquetCompression } from './compress-page.ts'
import { MAGIC } from './join-parquet.ts'

export type ParquetFormatOptions = {
  readonly columns: Readonly<Record<string, ParquetColumn>>
  readonly compression: ParquetCompression
  readonly rowGroupBytes: number
}

/**
 * Parquet with the declared columns. The format (page headers, levels, footer) is hyparquet-writer's; values are encoded here, a column at a time into
 * one buffer, for nothing may be allocated for a value.
 */
export function parquetFormat({ columns, compression, rowGroupBytes }: ParquetFormatOptions): Format {
  const encoded = compileColumns(columns)
  return {
    name: 'parquet',
    extension: '.parquet',
    signature: JSON.stringify(['parquet', encoded.map(({ element }) => element)]),
    bufferBytes: rowGroupBytes,
    encoder: () => new ParquetEncoder(encoded, compression),
  }
}

class ParquetEncoder implements RowEncoder {
  readonly headerBytes = 0
  readonly #schema: SchemaElement[]
  readonly #columns: readonly ColumnWriter[]
  readonly #rowGroups: RowGroup[] = []
  #rows = 0
  #rowsOfAll = 0
  /** How many bytes of the file were given out. */
  #offset = 0

  constructor(columns: readonly EncodedColumn[], compression: ParquetCompression) {
    this.#schema = [{ name: 'schema', num_children: columns.length }, ...columns.map(({ element }) => element)]
    this.#columns = columns.map(column => new ColumnWriter(column, compression))
  }

  get buffered(): number {
    let bytes = 0
    for (const column of this.#columns) bytes += column.buffered
    return bytes
  }

  add(rows: readonly unknown[], placeOf: (index: number) => number, task: Task): void {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]
      if (typeof row === 'object' && row !== null) continue
      try {
        asObject(row)
      } catch (error) {
        throw refusedRow(task, placeOf(i), undefined, row, error)
      }
    }
    for (const column of this.#columns) column.add(rows as readonly Readonly<Record<string, unknown>>[], placeOf, task)
    this.#rows += rows.length
    this.#rowsOfAll += rows.length
  }

  async flush(): Promise<readonly Uint8Array[]> {
    const pieces: Uint8Array[] = this.#offset === 0 ? [MAGIC] : []
    let offset = this.#offset === 0 ? MAGIC.length : this.#offset
    if (this.#rows > 0) {
      const from = offset
      const chunks: RowGroup['columns'] = []
      let uncompressed = 0
      for (const column of this.#columns) {
        const written = await column.flush(offset)
        chunks.push(written.chunk)
        pieces.push(...written.pieces)
        offset += written.bytes
        uncompressed += written.uncompressed
      }
      this.#rowGroups.push({
        columns: chunks,
        total_byte_size: BigInt(uncompressed),
        num_rows: BigInt(this.#rows),
        file_offset: BigInt(from),
        total_compressed_size: BigInt(offset - from),
      })
      this.#rows = 0
    }
    this.#offset = offset
    return pieces
  }

  async end(): Promise<readonly Uint8Array[]> {
    const pieces = this.#rows > 0 || this.#offset === 0 ? await this.flush() : []
    const footer = new ByteWriter()
    writeMetadata(footer, {
      version: 2,
      created_by: 'tidemark',
      schema: this.#schema,
      num_rows: BigInt(this.#rowsOfAll),
      row_groups: this.#rowGroups,
      metadata_length: 0,
    })
    footer.appendBytes(MAGIC)
    return [...pieces, footer.getBytes()]
  }

  release(): void {
    for (const column of this.#columns) column.release()
  }
}
