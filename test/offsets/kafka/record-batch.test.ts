import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeBatches, PARTS_HEADER } from '../../../offsets/kafka/record-batch.ts'
import { isTidemarkError } from '../../../src/core/errors.ts'
import { encodeRecordBatch, sealBatch } from '../../support/encode-record-batch.ts'

type Fixture = {
  readonly name: string
  readonly hex: string
  readonly batches: readonly {
    readonly lastOffset: string
    readonly magic: number
    readonly compression: string
    readonly maxTimestamp: string
    readonly producerId: string
    readonly producerEpoch: number
    readonly transactional: boolean
    readonly control: boolean
  }[]
  readonly records: readonly { readonly offset: string; readonly key: string | null; readonly value: string | null }[]
}

/** Written by Kafka's own Java client. */
const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, '../../fixtures/record-batches.json'), 'utf8')) as { cases: Fixture[] }
const bytesOf = (name: string) => Buffer.from(cases.find(fixture => fixture.name === name)?.hex ?? '', 'hex')
const ours = cases.filter(({ batches }) => batches.every(({ magic, compression }) => magic === 2 && compression === 'none'))

describe('batches as Kafka writes them', () => {
  test.for(ours.map(fixture => [fixture.name, fixture] as const))('%s', ([, { hex, batches, records }]) => {
    const decoded = decodeBatches(Buffer.from(hex, 'hex'))
    expect(decoded.map(({ records: _, marker: __, ...header }) => header)).toEqual(
      batches.map(({ lastOffset, maxTimestamp, producerId, producerEpoch, transactional }) => ({
        lastOffset: Number(lastOffset),
        producerId: BigInt(producerId),
        producerEpoch,
        isTransactional: transactional,
        appendedAtMs: Number(maxTimestamp),
      })),
    )
    expect(decoded.map(({ marker }) => marker)).toEqual(batches.map(({ control }) => (control ? 'commit' : undefined)))
    const read = decoded.flatMap(batch => batch.records)
    expect(read.map(({ offset, key, value }) => [offset, key.toString('hex'), value?.toString('hex') ?? null])).toEqual(
      batches[0]?.control ? [] : records.map(({ offset, key, value }) => [Number(offset), key ?? '', value]),
    )
  })

  test('with a value in parts say how many there are', () => {
    const record = { offset: 7, key: Buffer.from('k'), value: Buffer.from('v'), headers: [[PARTS_HEADER, Buffer.from('3')]] as const }
    const [batch] = decodeBatches(encodeRecordBatch({ records: [record, { offset: 8, key: Buffer.from('k'), value: null }] }))
    expect(batch?.records.map(({ parts, value }) => [parts, value === null])).toEqual([
      [3, false],
      [1, true],
    ])
  })

  test('that end in a batch cut off give those before it', () => {
    const whole = bytesOf('v2-none')
    for (let length = whole.length; length < whole.length * 2; length += 13) {
      expect(decodeBatches(Buffer.concat([whole, whole]).subarray(0, length))).toHaveLength(1)
    }
  })
})

describe('batches that are not as we write them', () => {
  test('are refused where any bit behind the checksum has turned', () => {
    const whole = bytesOf('v2-transactional')
    for (let at = 21; at < whole.length; at++) {
      const turned = Buffer.from(whole)
      turned.writeUInt8(turned.readUInt8(at) ^ 0x10, at)
      expect(() => decodeBatches(turned), `byte ${at}`).toThrow(/its checksum does not fit/)
    }
  })

  test('are refused where their lengths contradict each other, whatever the checksum says', () => {
    const whole = bytesOf('v2-none')
    for (let at = 61; at < 120; at++) {
      const turned = Buffer.from(whole)
      turned.writeUInt8(turned.readUInt8(at) ^ 0x7f, at)
      try {
        decodeBatches(sealBatch(turned))
      } catch (error) {
        expect(isTidemarkError(error, 'DECODE'), String(error)).toBe(true)
      }
    }
    const short = Buffer.from(whole)
    short.writeInt32BE(6, 57)
    expect(() => decodeBatches(sealBatch(short))).toThrow(/cannot be read/)
  })

  test('are refused with the setting to change where a broker has compressed them', () => {
    expect(() => decodeBatches(bytesOf('v2-zstd'))).toThrow(/Set compression.type=producer on the topic/)
  })
})
