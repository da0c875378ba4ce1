import { open } from 'node:fs/promises'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { serializeTCompactProtocol } from 'hyparquet-writer/src/thrift.js'
import { ConflictError } from '../../../src/core/errors.ts'
import { onDisk } from '../disk-error.ts'
import type { AppendFile } from '../formats/append-file.ts'
import type { JoinedPart } from '../formats/format.ts'

export const MAGIC = Buffer.from('PAR1')
/** The footer's length and the magic behind it. */
const TAIL_BYTES = 8
/** What is read at first of a file's end; most footers fit. */
const FOOTER_GUESS = 64 * 1024

/** A struct as the format has it: `field_3` for the field of that number. Kept as it is, so that nothing in it changes on its way through. */
type Thrift = { [field: `field_${number}`]: unknown }

/**
 * Puts Parquet files of one schema behind each other: the bytes of their row groups as they are, then one footer that says where each now lies. Nothing
 * is decoded, and of each file only the footer is held.
 */
export async function joinParquet(parts: readonly JoinedPart[], file: AppendFile): Promise<void> {
  await file.append([MAGIC])
  const rowGroups: Thrift[] = []
  let footer: Thrift | undefined
  let rows = 0n
  for (const part of parts) {
    const { metadata, footerAt } = await readFooter(part)
    footer ??= metadata
    const shift = BigInt(file.bytes - MAGIC.length)
    for (const group of metadata.field_4 as Thrift[]) rowGroups.push(moveRowGroup(group, shift))
    rows += metadata.field_3 as bigint
    await file.appendFrom(part.path, MAGIC.length, footerAt)
  }
  const writer = new ByteWriter()
  serializeTCompactProtocol(writer, { ...footer, field_3: rows, field_4: rowGroups })
  writer.appendUint32(writer.offset)
  writer.appendBytes(MAGIC)
  await file.append([writer.getBytes()])
}

async function readFooter({ path, bytes }: JoinedPart): Promise<{ metadata: Thrift; footerAt: number }> {
  const handle = await onDisk('open', path, () => open(path, 'r'))
  try {
    const tail = await readAt(Math.max(0, bytes - FOOTER_GUESS), bytes)
    const isWhole = tail.length >= MAGIC.length + TAIL_BYTES && tail.subarray(-MAGIC.length).equals(MAGIC)
    const length = isWhole ? tail.readUInt32LE(tail.length - TAIL_BYTES) : 0
    const footerAt = bytes - TAIL_BYTES - length
    if (!isWhole || footerAt < MAGIC.length) {
      throw new ConflictError(`${path} is not the Parquet file of ${bytes} bytes that was written: it was cut or replaced.`, {
        details: { path, bytes },
      })
    }
    const footer =
      tail.length >= length + TAIL_BYTES ? tail.subarray(-TAIL_BYTES - length, -TAIL_BYTES) : await readAt(footerAt, footerAt + length)
    const view = new DataView(footer.buffer, footer.byteOffset, footer.length)
    return { metadata: deserializeTCompactProtocol({ view, offset: 0 }), footerAt }
  } finally {
    await handle.close()
  }

  async function readAt(from: number, until: number): Promise<Buffer> {
    const buffer = Buffer.alloc(until - from)
    const { bytesRead } = await onDisk('read', path, () => handle.read(buffer, 0, buffer.length, from))
    return buffer.subarray(0, bytesRead)
  }
}

/** Everything in a row group that is a place in the file: of itself, of its chunks, and of their pages. */
function moveRowGroup(group: Thrift, shift: bigint): Thrift {
  const columns = (group.field_1 as Thrift[]).map(column => ({
    ...move(column, ['field_2'], shift),
    field_3: move(column.field_3 as Thrift, ['field_9', 'field_10', 'field_11'], shift),
  }))
  return { ...move(group, ['field_5'], shift), field_1: columns }
}

function move(struct: Thrift, fields: readonly (keyof Thrift)[], shift: bigint): Thrift {
  const moved = { ...struct }
  for (const field of fields) {
    const at = moved[field]
    if (typeof at === 'bigint') moved[field] = at + shift
  }
  return moved
}
