import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readVarint, readVarlong, varintEnd } from '../../../../connectors/kafka/record-batch/varint.ts'
import { encodeVarint } from '../../../support/encode-record-batch.ts'

type Fixture = { varint: { value: number; hex: string }[]; varlong: { value: string; hex: string }[] }
const { varint, varlong } = JSON.parse(readFileSync(new URL('../../../fixtures/varints.json', import.meta.url), 'utf8')) as Fixture

test.each(varint)('the varint $hex is $value, as in the Java client', ({ value, hex }) => {
  const bytes = Buffer.from(`ff${hex}ff`, 'hex')
  expect(readVarint(bytes, 1)).toBe(value)
  expect(varintEnd).toBe(bytes.length - 1)
})

test.each(varlong)('the varlong $hex is $value, or the double nearest to it', ({ value, hex }) => {
  const bytes = Buffer.from(`ff${hex}ff`, 'hex')
  expect(readVarlong(bytes, 1)).toBe(Number(value))
  expect(varintEnd).toBe(bytes.length - 1)
})

test('every safe integer survives a varlong', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), value => {
      expect(readVarlong(encodeVarint(value), 0)).toBe(value)
    }),
  )
})

test('a varint that does not end is said to end past everything', () => {
  readVarint(Buffer.alloc(20, 0xff), 0)
  expect(varintEnd).toBe(Number.MAX_SAFE_INTEGER)
  readVarlong(Buffer.alloc(20, 0xff), 0)
  expect(varintEnd).toBe(Number.MAX_SAFE_INTEGER)
})
