import { describe, expect, onTestFinished, test } from 'vitest'
import { redisSink } from '../../../connectors/redis/index.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { uniqueName } from '../../support/kafka.ts'
import { services } from '../../support/services.ts'
import { redisClient, rowsOf, running, TestOutput } from './redis-output.ts'

type Row = { id: number }

const COUNT = 12_345
const rows = () => rowsOf<Row>(0, COUNT, id => ({ id }))
const ids = Array.from({ length: COUNT }, (_, id) => id)

/** A driver's sink, which is never opened, and executors' sinks, which are never prepared: each with a connection of its own. */
async function startTwins(make: () => Sink<Row>) {
  const here = new TestOutput()
  const [driver, one, other] = [make(), make(), make()]
  onTestFinished(async () => {
    for (const sink of [driver, one, other]) await sink.close?.()
  })
  await driver.prepare?.(here.context())
  await driver.fence?.(here.mark())
  await one.open?.(here.context())
  await other.open?.(here.context())
  return { here, driver, one, other }
}

/** Rows of which the array behind the first so many is drawn only when `until` has come. */
async function* waiting(before: number, until: Promise<unknown>): AsyncGenerator<readonly Row[]> {
  let drawn = 0
  for await (const array of rows()) {
    if (drawn === before) await until
    drawn += 1
    yield array
  }
}

describe('rows as entries of a stream', () => {
  const startIntoStream = async () => {
    const key = uniqueName('entries')
    const twins = await startTwins(() => redisSink<Row>({ url: services().redis, stream: { key } }))
    const entries = async () => (await redisClient().xrange(key, '-', '+')).map(([, fields]) => Number(fields[1]))
    return { ...twins, entries }
  }

  test('are there once and in order when two attempts run side by side, chunk by chunk, and both resolve', async () => {
    const { here, driver, one, other, entries } = await startIntoStream()
    const writing = [one, other].map((sink, at) => sink.write(here.task({ attempt: `${at}` }), rows(), running))
    await Promise.all(writing)
    expect(await entries()).toEqual(ids)
    expect(await one.applied?.(here.task())).toBe(true)
    await driver.fence?.(here.mark({ lastBegun: 2, lastComplete: 1 }))
    await expect(other.write(here.task({ attempt: 'late' }), rows(), running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await entries()).toEqual(ids)
  })

  test.for([0, 4, 20])('are there once when a straggler goes on behind %i arrays after its twin has ended', async before => {
    const { here, one, other, entries } = await startIntoStream()
    const twin = Promise.withResolvers<void>()
    const straggling = one.write(here.task(), waiting(before, twin.promise), running)
    await other.write(here.task({ attempt: 'b' }), rows(), running)
    twin.resolve()
    await straggling
    expect(await entries()).toEqual(ids)
  })
})
