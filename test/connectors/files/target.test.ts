import { expect, test } from 'vitest'
import { consoleSink } from '../../../connectors/console/index.ts'
import { jsonlSink } from '../../../connectors/files/index.ts'

test('files point at their directory as it was given, and at the one beside it in a replay', () => {
  const sink = jsonlSink({ directory: 'out/orders/' })
  expect(sink.target).toBe('out/orders')
  expect(sink.forStream?.('orders~replay-1').target).toBe('out/orders~replay-1')
  expect(sink.allowsTwins).toBe(true)
})

test('the console points at nothing, and rows of two attempts would be printed twice', () => {
  const sink = consoleSink()
  expect(sink.target).toBeUndefined()
  expect(sink.allowsTwins ?? false).toBe(false)
})
