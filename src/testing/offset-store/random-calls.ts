import assert from 'node:assert/strict'
import { errorMessage, isTidemarkError } from '../../core/errors.ts'
import type { AcquireOptions, Lease, OffsetStore, ResetOptions } from '../../core/offset-store.ts'
import type { Batch, PartitionOffset } from '../../core/values.ts'
import { seededRandom } from '../seeded-random.ts'
import { type DefineTest, LONG_MS, position, range, uniqueName } from './contract.ts'

const RUNS = 15
const CALLS_PER_RUN = 40
const NAMES = ['one', 'two'] as const
const OWNERS = ['first', 'second', 'third'] as const

/** A call as plain data: what a failing run prints. `lease` is the place of a lease among those granted so far. */
type Call =
  | { readonly do: 'acquire'; readonly name: string; readonly owner: string; readonly options: AcquireOptions }
  | { readonly do: 'renew' | 'release' | 'remove'; readonly lease: number }
  | { readonly do: 'begin'; readonly lease: number; readonly batch: Batch }
  | { readonly do: 'commit'; readonly lease: number; readonly id: number }
  | { readonly do: 'reset'; readonly lease: number; readonly offsets: readonly PartitionOffset[]; readonly options: ResetOptions }
  | { readonly do: 'retire'; readonly lease: number; readonly note: string }
  | { readonly do: 'restore'; readonly from: string; readonly name: string }

/** One of the two that are compared: its clients, and the leases it granted, which have the same places in both. */
type Side = { readonly clients: readonly OffsetStore[]; readonly leases: Lease[]; readonly nameOf: (name: string) => string }

/** Sends a call and gives what can be compared of its outcome: the code of a refusal, the epoch of a lease. */
async function perform({ clients, leases, nameOf }: Side, call: Call, client: number): Promise<unknown> {
  const store = clients[client % clients.length] ?? assert.fail()
  const leaseAt = (index: number) => leases[index] ?? assert.fail(`there is no lease ${index}`)
  try {
    switch (call.do) {
      case 'acquire': {
        const lease = await store.acquire(nameOf(call.name), call.owner, LONG_MS, call.options)
        leases.push(lease)
        return lease.epoch
      }
      case 'renew':
        return await store.renew(leaseAt(call.lease))
      case 'release':
        return await store.release(leaseAt(call.lease))
      case 'remove':
        return await store.remove(leaseAt(call.lease))
      case 'begin':
        return await store.begin(leaseAt(call.lease), call.batch)
      case 'commit':
        return await store.commit(leaseAt(call.lease), call.id)
      case 'reset':
        return await store.reset(leaseAt(call.lease), call.offsets, call.options)
      case 'retire':
        return await store.retire(leaseAt(call.lease), call.note)
      case 'restore':
        return await store.restore({ ...(await store.snapshot(nameOf(call.from))), stream: nameOf(call.name) })
      default:
        return call satisfies never
    }
  } catch (error) {
    if (isTidemarkError(error) && !error.retryable) return error.code
    throw error
  }
}

/** All that a store has of a stream, but for what differs between two stores: ids, names, and times. */
async function seen({ clients, nameOf }: Side, name: string, client: number): Promise<unknown> {
  const store = clients[client % clients.length] ?? assert.fail()
  const { streamId, ...state } = await store.read(nameOf(name))
  if (streamId === undefined) return state
  const { stream: _, streamId: same, history, ...snapshot } = await store.snapshot(nameOf(name))
  assert.equal(same, streamId)
  return { state, snapshot, history: history.map(({ at, ...entry }) => entry) }
}

/** Makes up calls that mostly fit what the model holds: calls that are refused at the door try nothing. */
class Caller {
  readonly #number: () => number
  readonly #model: Side

  constructor(seed: number, model: Side) {
    this.#number = seededRandom(seed).number
    this.#model = model
  }

  below(limit: number): number {
    return Math.floor(this.#number() * limit)
  }

  async next(): Promise<Call> {
    const { leases } = this.#model
    const name = this.#oneOf(NAMES)
    const chance = this.below(100)
    if (leases.length === 0 || chance < 12) {
      return { do: 'acquire', name, owner: this.#oneOf(OWNERS), options: this.below(2) === 0 ? { steal: true } : {} }
    }
    // Mostly one of the newest leases; now and then one that died long ago.
    const lease = this.below(4) === 0 ? this.below(leases.length) : Math.max(0, leases.length - 1 - this.below(2))
    if (chance < 40) return { do: 'begin', lease, batch: await this.#batch(lease) }
    if (chance < 65) return { do: 'commit', lease, id: (await this.#state(lease)).lastBatchId + this.#oneOf([1, 1, 1, 1, 0, 2, -1]) }
    if (chance < 82) return { do: 'reset', lease, offsets: this.#positions(), options: this.#resetOptions() }
    if (chance < 87) return { do: 'renew', lease }
    if (chance < 91) return { do: 'release', lease }
    if (chance < 94) return { do: 'restore', from: name, name: this.#oneOf(NAMES) }
    if (chance < 97) return { do: 'remove', lease }
    return { do: 'retire', lease, note: this.#oneOf(['moved', 'moved', '']) }
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }

  #state(lease: number) {
    return (this.#model.clients[0] ?? assert.fail()).read(this.#model.leases[lease]?.stream ?? assert.fail())
  }

  /** The pending batch again, or one that tiles; now and then one with a gap, an empty range or an id that is not next. */
  async #batch(lease: number): Promise<Batch> {
    const { pending, offsets, lastBatchId, epoch } = await this.#state(lease)
    if (pending !== undefined && this.below(2) === 0) return { ...pending, epoch }
    const ranges = Array.from({ length: this.below(4) }, () => {
      const partition = this.below(4)
      const committed = offsets.find(at => at.partition === partition)?.offset ?? this.below(50)
      const fromOffset = committed + this.#oneOf([0, 0, 0, 0, 0, 0, 0, 0, 1, -1])
      return range(partition, fromOffset, fromOffset + this.#oneOf([1, 2, 3, 4, 5, 6, 0]), this.#detail())
    })
    // The first of a partition wins, so that most batches tile.
    const distinct = this.below(10) === 0 ? ranges : [...new Map(ranges.toReversed().map(at => [at.partition, at])).values()]
    const facts = this.#oneOf([undefined, null, 'job 1', { outputs: ['a', 'b'], deep: { n: 1.5 } }])
    const id = lastBatchId + this.#oneOf([1, 1, 1, 1, 1, 1, 0, 2])
    return { id, batchTime: this.below(1_000), epoch, ranges: distinct, ...(facts !== undefined && { facts }) }
  }

  #positions(): PartitionOffset[] {
    return Array.from({ length: this.below(3) }, () =>
      position(this.below(4), this.below(60) - this.#oneOf([0, 0, 0, 0, 5]), this.#detail()),
    )
  }

  #resetOptions(): ResetOptions {
    const forget = Array.from({ length: this.#oneOf([0, 0, 0, 1, 2]) }, () => ({ topic: 'orders', partition: this.below(4) }))
    const reason = this.#oneOf([undefined, 'start', 'rewind'])
    return { discard: this.below(2) === 0, forget, ...(reason !== undefined && { reason }) }
  }

  #detail(): { topicId?: string; leaderEpoch?: number } {
    return this.#oneOf([{}, { topicId: 'a', leaderEpoch: this.below(3) }, { topicId: 'b' }, { leaderEpoch: 0 }])
  }
}

/** What the store and then the model gave are the same; if not, says also how they came there. */
function agree(store: unknown, model: unknown, told: () => string): void {
  try {
    assert.deepEqual(store, model)
  } catch (error) {
    assert.fail(`The store (first) and the model differ after the last of these calls: ${told()}${errorMessage(error)}`)
  }
}

/** Compares the store with a model that is held to the same contract: what nobody thought of writing down. */
export function defineModelTests(test: DefineTest, openModel: () => OffsetStore): void {
  test('random calls of three clients end as they do with the model, and leave what they leave there', async world => {
    const clients = [world.store, world.other, await world.another()]
    for (let seed = 1; seed <= RUNS; seed++) {
      const modelStore = openModel()
      const prefix = uniqueName('random')
      const nameOf = (name: string) => `${prefix}-${name}`
      const model: Side = { clients: [modelStore], leases: [], nameOf }
      const store: Side = { clients, leases: [], nameOf }
      const caller = new Caller(seed, model)
      const calls: Call[] = []
      const told = () => `seed ${seed}, calls:\n${calls.map(call => JSON.stringify(call)).join('\n')}\n`
      for (let n = 0; n < CALLS_PER_RUN; n++) {
        const call = await caller.next()
        calls.push(call)
        const expected = await perform(model, call, 0)
        const outcome = await perform(store, call, caller.below(3)).catch(error => assert.fail(`${told()}${error}`))
        agree(outcome, expected, told)
        const name = 'name' in call ? call.name : (model.leases[call.lease]?.stream.slice(prefix.length + 1) ?? assert.fail())
        agree(await seen(store, name, caller.below(3)), await seen(model, name, 0), told)
      }
      await modelStore.close()
    }
  })
}
