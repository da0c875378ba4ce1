import { Kafka } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { kafkaSink, kafkaSource } from '../../../connectors/kafka/index.ts'

const kafka = {
  brokers: ['b:9093', 'a:9092'],
  ssl: { passphrase: 'hidden-1' },
  sasl: { mechanism: 'plain', username: 'hidden-2', password: 'hidden-3' },
} as const
const connection = { ...kafka, brokers: [...kafka.brokers] }
const others = [['a client', new Kafka(connection)] as const, ['brokers that a function finds', { brokers: () => ['a:9092'] }] as const]

describe('what a source points at', () => {
  test('is its brokers and topics in one order, without what it logs in with', () => {
    const source = kafkaSource({ kafka: connection, topics: ['orders', 'clicks'] })
    expect(source.target).toBe('a:9092,b:9093, topics clicks,orders')
    const reversed = kafkaSource({ kafka: { brokers: ['a:9092', 'b:9093'] }, topics: ['clicks', 'orders'] })
    expect(reversed.target).toBe(source.target)
  })

  test('is the expression where topics are found by one, and the same under an alias', () => {
    expect(kafkaSource({ kafka: connection, topics: /^orders-/, alias: 'eu' }).target).toBe('a:9092,b:9093, topics /^orders-/')
  })

  test.for(others)('is not told for %s', ([, given]) => {
    expect(kafkaSource({ kafka: given, topics: ['orders'] }).target).toBeUndefined()
    expect(kafkaSource({ kafka: given, topics: ['orders'], alias: 'eu' }).target).toBeUndefined()
  })
})

describe('what a sink points at', () => {
  test('is its brokers, its topic and its ledger, without what it logs in with', () => {
    expect(kafkaSink({ kafka: connection, topic: 'orders' }).target).toBe('a:9092,b:9093, topic orders, ledger tidemark-ledger')
    const byRow = kafkaSink<{ to: string }>({ kafka: connection, topic: row => row.to, ledgerTopic: 'ledger' })
    expect(byRow.target).toBe('a:9092,b:9093, topics by row, ledger ledger')
  })

  test.for(others)('is not told for %s', ([, given]) => {
    expect(kafkaSink({ kafka: given, topic: 'orders' }).target).toBeUndefined()
  })

  test('is nothing that two attempts may write to side by side', () => {
    expect(kafkaSink({ kafka: connection, topic: 'orders' }).allowsTwins).toBe(false)
  })
})
