import { describe, expect, test } from 'vitest'
import { json, kafkaSink, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../../../offsets/memory/index.ts'
import { stream } from '../../../../src/index.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../../../support/kafka.ts'
import { readAll } from '../../../support/oracle.ts'

type Order = { readonly id: number; readonly country: string }

/** Eight orders, of which that at offset 5 is the first for Norway; what is left out before it makes its place in the task another. */
const ORDERS = ['se', 'se', 'none', 'se', 'none', 'no', 'se', 'no'].map((country, id): Order => ({ id, country }))

async function world() {
  const { brokers } = kafkaCluster()
  const from = await createTopic(uniqueName('by-row'), { partitions: 1 })
  await sendMessages(
    from,
    ORDERS.map(order => ({ partition: 0, value: JSON.stringify(order) })),
  )
  await createTopic(`${from}-se`, { partitions: 1 })
  const offsets = memoryOffsets()
  const run = async (topic: (order: Order) => string) => {
    const job = stream({ name: from, offsets, guarantee: 'exactly-once', batchIntervalMs: 0 })
      .from(kafkaSource({ kafka: { brokers }, topics: [from] }))
      .map(json<Order>())
      .filter(({ country }) => country !== 'none')
      .to(kafkaSink({ kafka: { brokers }, topic }), { name: 'countries' })
    await (await job.start({ until: 'latest' })).done
  }
  const read = async (country: string) => (await readAll(kafkaCluster(), `${from}-${country}`, 'read_committed')).length
  return { from, offsets, run, read }
}

describe('rows whose topic is a function of them', () => {
  test('that name a topic which does not exist stop the stream by the name of the record, and go on in the same batch once it does', async () => {
    const { from, offsets, run, read } = await world()
    const byCountry = ({ country }: Order) => `${from}-${country}`
    await expect(run(byCountry)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(
        new RegExp(
          `Topic ${from}-no does not exist.* Create it.*\\nRow 4 of ${from}/0 \\[0, 8\\) \\(batch 1, output countries\\) is the first of its task for topic ` +
            `${from}-no\\. The row comes from the record at ${from}/0 offset 5\\.`,
        ),
      ),
      details: { topic: from, partition: 0, offset: 5, row: 4, batchId: 1, output: 'countries', topics: [`${from}-no`] },
    })
    expect(await offsets.read(from)).toMatchObject({ lastBatchId: 0, pending: { id: 1 } })
    // The rows before it were in its transaction.
    expect(await read('se')).toBe(0)
    await createTopic(`${from}-no`, { partitions: 1 })
    await run(byCountry)
    expect(await offsets.read(from)).toMatchObject({ lastBatchId: 1, pending: undefined })
    expect([await read('se'), await read('no')]).toEqual([4, 2])
  })

  test.for([{ given: undefined }, { given: '' }, { given: 'no/way' }, { given: 'a'.repeat(250) }])(
    'and for which it gives no name of a topic ($given) are told by their record',
    async ({ given }) => {
      const { from, run, read } = await world()
      await expect(run(({ country }) => (country === 'no' ? (given as string) : `${from}-se`))).rejects.toMatchObject({
        code: 'RECORD',
        message: expect.stringMatching(/^Row 4 of .* has no topic: the function topic of kafkaSink gave .*offset 5\.$/),
        details: { topic: from, partition: 0, offset: 5, row: 4 },
      })
      expect(await read('se')).toBe(0)
    },
  )
})
