import { expect, test } from 'vitest'
import { kafkaSink, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { silentLog } from '../../../../src/core/log.ts'

const kafka = { brokers: ['localhost:9092'] }

test('every mistake in the options is told at once, with its path and what is accepted', () => {
  const wrong = { kafka, topic: 'no/topic', key: 'id', compression: 'brotli', maxRequestBytes: 10, ledgertopic: 'x' }
  expect(() => kafkaSink(wrong as never)).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      message: expect.stringMatching(
        /^kafkaSink: 5 options are wrong:[\s\S]*topic is[\s\S]*key is[\s\S]*compression is[\s\S]*maxRequestBytes is 10[\s\S]*did you mean ledgerTopic\?/,
      ),
    }),
  )
})

test('a connection that is not set is told as an option of the sink', () => {
  expect(() => kafkaSink({ kafka: { brokers: [undefined as never] }, topic: 'out' })).toThrow(
    /^kafkaSink: kafka\.brokers\[0\] is undefined/,
  )
  expect(() => kafkaSink({ kafka: undefined as never, topic: 'out' })).toThrow(/^kafkaSink: kafka is undefined/)
})

test('a sink is named by its topic, promises exactly-once and the order of keys, and connects nothing', async () => {
  const { name, guarantee, ordering } = kafkaSink({ kafka, topic: 'out' })
  expect({ name, guarantee, ordering }).toEqual({ name: 'kafka:out', guarantee: 'exactly-once', ordering: 'partition' })
  expect(kafkaSink<string>({ kafka, topic: row => row }).name).toBe('kafka:by-row')
  await using idle = kafkaSink({ kafka, topic: 'out' })
  expect(idle.name).toBe('kafka:out')
})

test('a cluster that cannot be reached is told where, as by the source', async () => {
  const nowhere = { brokers: ['127.0.0.1:1'] }
  await using sink = kafkaSink({ kafka: nowhere, topic: 'out' })
  await using source = kafkaSource({ kafka: nowhere, topics: ['out'] })
  const context = { stream: 's', streamId: 'i', output: 'o', signal: new AbortController().signal, log: silentLog }
  const refused = { code: 'CONNECTION', message: expect.stringContaining('No connection to Kafka at 127.0.0.1:1') }
  await expect(source.partitions()).rejects.toMatchObject(refused)
  await expect(sink.prepare(context)).rejects.toMatchObject(refused)
})
