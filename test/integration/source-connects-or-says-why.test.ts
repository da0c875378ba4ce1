import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import { Kafka } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaSourceOptions, kafkaSource } from '../../connectors/kafka/index.ts'
import { isTidemarkError } from '../../src/core/errors.ts'
import { collect } from '../support/collect.ts'
import { createTopic, kafkaCluster, saslConfig, sendMessages, uniqueName } from '../support/kafka.ts'

let topic: string
const servers: Server[] = []
const warnings: Error[] = []
const warn = (warning: Error) => void warnings.push(warning)

beforeAll(async () => {
  topic = await createTopic(uniqueName('secure'))
  await sendMessages(topic, [{ value: 'one' }, { value: 'two' }])
  // Only now: kafkajs' own producers warn, of their timers.
  process.on('warning', warn)
})
afterAll(async () => {
  process.off('warning', warn)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
})

async function listen(server: Server): Promise<string> {
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

async function readAllOf(kafka: KafkaSourceOptions['kafka']): Promise<string[]> {
  const source = kafkaSource({ kafka, topics: [topic] })
  try {
    const [end] = await source.latestOffsets()
    const records = await collect(source, { topic, partition: 0, fromOffset: 0, untilOffset: end?.offset ?? 0 })
    return records.map(({ value }) => String(value))
  } finally {
    await source.close()
  }
}

/** Connects, and gives the error with how long it took, and the sockets that were left. */
async function failToConnect(kafka: KafkaSourceOptions['kafka']) {
  const sockets = () => process.getActiveResourcesInfo().filter(kind => /^(TCPSocket|TLS|Connect|Shutdown|Timeout)/.test(kind)).length
  const before = sockets()
  const startedAt = performance.now()
  const error = await readAllOf(kafka).then(
    () => undefined,
    (failure: unknown) => failure,
  )
  const ms = performance.now() - startedAt
  if (!isTidemarkError(error)) throw new TypeError(`It failed with ${String(error)}.`)
  // What is destroyed is gone with the next turns of the loop.
  for (let turn = 0; turn < 20 && sockets() > before; turn++) await new Promise(resolve => setImmediate(resolve))
  return { code: error.code, retryable: error.retryable, message: error.message, ms, left: Math.max(0, sockets() - before) }
}

describe('a login over TLS', () => {
  test('by a configuration', async () => {
    expect(await readAllOf(saslConfig())).toEqual(['one', 'two'])
  })

  test('by a Kafka that the user made, and used again', async () => {
    const kafka = new Kafka(saslConfig())
    expect(await readAllOf(kafka)).toEqual(['one', 'two'])
    expect(await readAllOf(kafka)).toEqual(['one', 'two'])
  })

  test('with a list of brokers that is a function', async () => {
    expect(await readAllOf({ ...saslConfig(), brokers: async () => kafkaCluster().saslBrokers })).toEqual(['one', 'two'])
  })

  test('leaves the configuration as it was: no password, no authenticator in it', async () => {
    const config = saslConfig()
    const before = structuredClone(config.sasl)
    await readAllOf(config)
    expect(config.sasl).toEqual(before)
  })

  test('with a wrong password is refused in a sentence, without the password', async () => {
    const config = saslConfig()
    const failure = await failToConnect({ ...config, sasl: { ...config.sasl, password: 'not-the-one' } })
    expect(failure).toMatchObject({
      ...{ code: 'AUTH', retryable: false, left: 0 },
      message: expect.stringMatching(/^Broker 127\.0\.0\.1:\d+ refused the credentials: .*Check sasl\.mechanism, username and password\.$/),
    })
    expect(failure.message).not.toContain('not-the-one')
  })

  test('with a mechanism that the listener does not have is refused', async () => {
    const failure = await failToConnect({ ...saslConfig(), sasl: { mechanism: 'plain', username: 'u', password: 'p' } })
    expect(failure).toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(/does not support the requested SASL mechanism/),
      left: 0,
    })
  })

  test('to a listener that takes none is refused', async () => {
    const { sasl } = saslConfig()
    const failure = await failToConnect({ brokers: kafkaCluster().brokers, sasl })
    expect(failure).toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(/takes no SASL login on that port.*Remove kafka\.sasl/),
      left: 0,
    })
  })

  test('that is missing where the listener wants one is said to be', async () => {
    const { sasl: _none, ...config } = saslConfig()
    const failure = await failToConnect(config)
    expect(failure).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/no kafka\.sasl is set and the listener wants a login/),
      left: 0,
    })
  })
})

describe('TLS', () => {
  test('with a certificate that nobody vouches for is refused', async () => {
    const failure = await failToConnect({ ...saslConfig(), ssl: true })
    expect(failure).toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/self-signed certificate.*ssl\.ca/), left: 0 })
  })

  test('against a port without TLS', async () => {
    const failure = await failToConnect({ ...saslConfig(), brokers: kafkaCluster().brokers })
    expect(failure).toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(/A port without TLS.*kafka\.ssl/), left: 0 })
    expect(failure.ms).toBeLessThan(5_000)
  })

  test('left out against a port with TLS', async () => {
    const failure = await failToConnect({ brokers: kafkaCluster().saslBrokers })
    expect(failure).toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/speaks TLS on that port, and kafka\.ssl is not set/),
      left: 0,
    })
    expect(failure.ms).toBeLessThan(5_000)
  })
})

describe('an address', () => {
  test('where nobody listens fails at once', async () => {
    const failure = await failToConnect({ brokers: ['127.0.0.1:1'] })
    expect(failure).toMatchObject({
      ...{ code: 'CONNECTION', retryable: true, left: 0 },
      message: expect.stringMatching(/^No connection to Kafka at 127\.0\.0\.1:1: .*ECONNREFUSED.*Check that a broker listens there/),
    })
    expect(failure.ms).toBeLessThan(5_000)
  })

  test('that is dead does not hide the next one in the list', async () => {
    expect(await readAllOf({ brokers: ['127.0.0.1:1', ...kafkaCluster().brokers] })).toEqual(['one', 'two'])
  })

  test('whose name nobody knows', async () => {
    const failure = await failToConnect({ brokers: ['no-such-host.invalid:9092'] })
    expect(failure).toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(/no-such-host\.invalid/), left: 0 })
  })

  test('of a web server is told from a broker by what it says', async () => {
    const failure = await failToConnect({ brokers: [await listen(createHttpServer((_request, response) => response.end()))] })
    expect(failure).toMatchObject({
      ...{ code: 'CONFIG', left: 0 },
      message: expect.stringMatching(/is not a Kafka broker: it begins with "HTTP\/1\.1 400 Bad Request"\. Check the address/),
    })
    expect(failure.ms).toBeLessThan(5_000)
  })

  test('of a server that speaks first and waits then is not waited for', async () => {
    const smtp = createServer(socket =>
      socket
        .on('error', () => {})
        .resume()
        .write('220 mail ready\r\n'),
    )
    const failure = await failToConnect({ brokers: [await listen(smtp)] })
    expect(failure).toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/it begins with "220 mail ready"/) })
    expect(failure.ms).toBeLessThan(5_000)
  })

  test('that comes from a function which fails', async () => {
    const failure = await failToConnect({
      brokers: async () => {
        throw new Error('the catalogue is down')
      },
    })
    expect(failure).toMatchObject({ code: 'CONNECTION', retryable: true, message: expect.stringMatching(/the catalogue is down/) })
  })

  test.for([[['localhost']], [['localhost:port']], [[]], [[9092]]])('%j is no list of brokers', ([brokers]) => {
    expect(() => kafkaSource({ kafka: { brokers: brokers as string[] }, topics: ['t'] })).toThrow(/brokers: \['host:port'\]/)
  })
})

test('none of it made Node warn of listeners that pile up', () => {
  expect(warnings).toEqual([])
})
