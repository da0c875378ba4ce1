import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { batch, type DefineTest, LONG_MS, range } from './contract.ts'
import { insisting, sendThrough, writeCalls } from './write-calls.ts'

/** More requests, and more turns of the event loop, than a call of any store may take. */
const MOST_REQUESTS = 200
const MOST_TURNS = 2 ** 22

/**
 * An acknowledgement that is lost, after each request that a call makes in turn.
 *
 * The sequence: the store does what it was told, the network dies before the answer. A client that takes this for a failure begins another batch 7; one
 * that takes it for a success goes on with a batch that may not be there. Sent again, the call must be accepted and must not happen a second time.
 */
export function defineLostAnswerTests(test: DefineTest): void {
  for (const call of writeCalls) {
    test(`${call.name} whose answer is lost may be sent again, and has happened once`, async ({ store, other, faults }) => {
      for (let skip = 0; ; skip++) {
        assert.ok(skip < MOST_REQUESTS, `after ${skip} requests there is still one to lose the answer of`)
        const sent = await call.prepare(insisting(store))
        const watch = await faults.loseNextAnswer(skip)
        const times = await sendThrough(call, store, sent)
        const isLost = watch.disarm()
        await call.check(insisting(other), sent, times)
        if (isLost) continue
        assert.ok(skip > 0, 'the call sent no request whose answer could be lost')
        return
      }
    })
  }
}

/** Connections that end: at ever later moments of a call, the last of them after it. */
export function defineCutTests(test: DefineTest): void {
  for (const call of writeCalls) {
    test(`${call.name} that loses its connection may be sent again, and has happened once`, async ({ store, other, faults }) => {
      for (let turns = 0; turns < MOST_TURNS; turns = 2 * turns || 1) {
        const sent = await call.prepare(insisting(store))
        let isUnderWay = true
        const watched = { ...call, send: (...of: Parameters<typeof call.send>) => call.send(...of).finally(() => (isUnderWay = false)) }
        let wasUnderWay = true
        const cut = async () => {
          for (let turn = 0; turn < turns && isUnderWay; turn++) await setImmediate()
          wasUnderWay = isUnderWay
          await faults.cut()
        }
        const times = await sendThrough(watched, store, sent, cut)
        await call.check(insisting(other), sent, times)
        if (!wasUnderWay) return
      }
      assert.fail('the call never ended before its connection did')
    })
  }

  test('a client whose connections all ended goes on with new ones', async ({ store, other, stream, faults }) => {
    const [first, second] = [insisting(store), insisting(other)]
    const lease = await first.acquire(stream, 'first', LONG_MS)
    for (let id = 1; id <= 5; id++) {
      await faults.cut()
      await first.begin(lease, batch(id, [range(0, id, id + 1)]))
      await faults.cut()
      await second.commit(lease, id)
      assert.equal((await first.read(stream)).lastBatchId, id)
    }
  })
}
