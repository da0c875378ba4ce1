import { CopyBuffer } from './copy-buffer.ts'
import type { Encode } from './encode.ts'
import { writeInt8 } from './encode-number.ts'
import { WrongValue } from './wrong-value.ts'

/** A column as rows are encoded for it. */
export type EncodedColumn = {
  readonly name: string
  readonly encode: Encode
  readonly isNullable: boolean
  /** Written also for a row that is to be deleted: the key and the version. */
  readonly isOfDeleted: boolean
}

/** What rows in a staging table carry besides: their place in the task, and whether they are to be deleted. */
export type RowMarks = { readonly isDeleted: ((row: never) => unknown) | undefined }

/** A row that could not be encoded. `row` is its place in the task, from 0. */
export class RowRefused extends Error {
  readonly row: number
  readonly column: string | undefined
  readonly value: unknown

  constructor(row: number, column: string | undefined, value: unknown, reason: string) {
    super(reason)
    this.row = row
    this.column = column
    this.value = value
  }
}

/**
 * Rows as the binary format of COPY, without its header and its end, so that the rows of several tasks can follow one another.
 * One loop over plain arrays; nothing is allocated for a row.
 */
export class RowEncoder {
  readonly #columns: readonly EncodedColumn[]
  readonly #names: readonly string[]
  readonly #encoders: readonly Encode[]
  readonly #absent: readonly string[]
  readonly #marks: RowMarks | undefined
  readonly #out = new CopyBuffer()
  /** Rows encoded so far. */
  count = 0

  /** @param absent - columns that a first row did not have and that a later one therefore must not */
  constructor(columns: readonly EncodedColumn[], absent: readonly string[], marks: RowMarks | undefined) {
    this.#columns = columns
    this.#names = columns.map(({ name }) => name)
    this.#encoders = columns.map(({ encode }) => encode)
    this.#absent = absent
    this.#marks = marks
  }

  /** Encodes `rows`, giving out each message that is full. Throws {@link RowRefused}. */
  encode(rows: readonly unknown[], give: (message: Buffer) => void): void {
    const out = this.#out
    const isDeleted = this.#marks?.isDeleted
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]
      if (typeof row !== 'object' || row === null)
        throw new RowRefused(this.count, undefined, row, 'expected an object with a value a column')
      if (isDeleted?.(row as never)) this.#encodeDeleted(row as Readonly<Record<string, unknown>>)
      else this.#encodeRow(row as Readonly<Record<string, unknown>>)
      this.count += 1
      if (!out.isFull) continue
      const message = out.take()
      if (message !== undefined) give(message)
    }
  }

  /** What is left of the last message. */
  takeRest(): Buffer | undefined {
    return this.#out.take()
  }

  #encodeRow(row: Readonly<Record<string, unknown>>): void {
    const out = this.#out
    const names = this.#names
    const encoders = this.#encoders
    const count = names.length
    out.reserve(2)
    out.view.setInt16(out.at, this.#marks === undefined ? count : count + 2)
    out.at += 2
    let column = 0
    try {
      for (; column < count; column++) {
        const value = row[names[column] as string]
        if (value === null || value === undefined) this.#encodeNull(column)
        else (encoders[column] as Encode)(out, value)
      }
    } catch (error) {
      throw this.#refuse(error, row, column)
    }
    for (let i = 0; i < this.#absent.length; i++) {
      const name = this.#absent[i] as string
      if (row[name] !== undefined) throw this.#strayColumn(name, row[name])
    }
    if (this.#marks !== undefined) this.#encodeMarks(false)
  }

  /** A row that is to be deleted needs its key and its version; whatever else it has is nobody's. */
  #encodeDeleted(row: Readonly<Record<string, unknown>>): void {
    const out = this.#out
    const columns = this.#columns
    out.reserve(2)
    out.view.setInt16(out.at, columns.length + 2)
    out.at += 2
    let column = 0
    try {
      for (; column < columns.length; column++) {
        const { name, encode, isOfDeleted } = columns[column] as EncodedColumn
        const value = isOfDeleted ? row[name] : undefined
        if (value !== null && value !== undefined) encode(out, value)
        else if (isOfDeleted) this.#encodeNull(column)
        else writeNull(out)
      }
    } catch (error) {
      throw this.#refuse(error, row, column)
    }
    this.#encodeMarks(true)
  }

  #encodeMarks(isDeleted: boolean): void {
    const out = this.#out
    writeInt8(out, this.count)
    out.reserve(5)
    out.view.setInt32(out.at, 1)
    out.bytes[out.at + 4] = isDeleted ? 1 : 0
    out.at += 5
  }

  #encodeNull(column: number): void {
    if (this.#columns[column]?.isNullable === false) throw new WrongValue('a value: the column takes no NULL')
    writeNull(this.#out)
  }

  #refuse(error: unknown, row: Readonly<Record<string, unknown>>, column: number): unknown {
    if (!(error instanceof WrongValue)) return error
    const name = this.#names[column] as string
    return new RowRefused(this.count, name, row[name], error.message)
  }

  #strayColumn(name: string, value: unknown): RowRefused {
    return new RowRefused(
      this.count,
      name,
      value,
      'expected none, since the first row of the task has none and the column has a default. Name the columns in the option columns',
    )
  }
}

function writeNull(out: CopyBuffer): void {
  out.reserve(4)
  out.view.setInt32(out.at, -1)
  out.at += 4
}
