import assert from 'node:assert/strict'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { MemoryOffsetStore, MemoryStreams } from '../../../offsets/memory/memory-offset-store.ts'
import { type OpenedOffsetStore, offsetStoreContract } from '../../../src/testing/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import {
  BeginsInItsHead,
  ForgetsItsStarts,
  GivesUp,
  GoesByItsOwnClock,
  HoldsItsHistory,
  HopesForTheBest,
  LooksBeforeItBegins,
  NeverTrims,
  SendsAgain,
  UsesIdsTwice,
  WritesBackWhatItRead,
} from './broken-stores.ts'
import { ServedOffsetStore } from './served-offset-store.ts'
import { type ServedStore, startServedStore } from './start-served-store.ts'

let server: ServedStore
beforeAll(async () => {
  server = await startServedStore()
})
afterAll(() => server.close())

const inMemory = (Store: new (streams: MemoryStreams) => MemoryOffsetStore) => async (): Promise<OpenedOffsetStore> => {
  const streams: MemoryStreams = new Map()
  return { store: new Store(streams), another: async () => new Store(streams), close: async () => {} }
}

const served =
  (Store: typeof ServedOffsetStore, forgets = false) =>
  async (): Promise<OpenedOffsetStore> => {
    const proxy = await startFaultProxy(server.address)
    const open = () => new Store(proxy)
    return { store: open(), another: async () => open(), close: proxy.close, faults: { ...proxy, restart: () => server.restart(forgets) } }
  }

/** Runs the test of the contract that has this title, as a runner would. */
async function runOf(title: string, open: () => Promise<OpenedOffsetStore>): Promise<void> {
  const tests = new Map<string, () => Promise<void>>()
  offsetStoreContract({
    describe: (_, body) => body(),
    test: (named, body) => tests.set(named, body),
    open,
    faults: ['cut', 'loseNextAnswer', 'restart'],
    clock: 'server',
    big: true,
    model: memoryOffsets,
  })
  await (tests.get(title) ?? assert.fail(`the contract has no test "${title}"`))()
}

const LONG_HISTORY = 'a history of a hundred thousand entries keeps its starts and resets when it is trimmed, and is read in pages'
const MODEL = 'random calls of three clients end as they do with the model, and leave what they leave there'

const BEGUN_AT_ONCE = 'of two different batches begun at once under one lease one is, and the other is refused'
const RESETS = 'resets that race all happen, and the history has each'
const AHEAD = 'a client whose clock is an hour ahead is kept away by a lease that lives'
const BEHIND = 'a client whose clock is an hour behind is kept away by a lease that lives'
const ENDED = 'a stream whose client ended after begin is as that call left it, and goes on with another client'
const BEGIN_CUT = 'a begin that loses its connection may be sent again, and has happened once'
const RESET_LOST = 'a reset whose answer is lost may be sent again, and has happened once'
const COMMIT_LOST = 'a commit whose answer is lost may be sent again, and has happened once'
const KILLED = 'a server killed in the midst of begins and commits has every call that had resolved, and nothing half'
const OUTLIVES = 'a lease outlives the server that granted it'

test.for([
  ['looks before it begins', BEGUN_AT_ONCE, /-\s+'CONFLICT'/, inMemory(LooksBeforeItBegins)],
  ['writes back what it read', RESETS, /\+\s+offset: 0/, inMemory(WritesBackWhatItRead)],
  ['goes by its own clock', AHEAD, /expected LEASE_HELD/, inMemory(GoesByItsOwnClock)],
  ['goes by its own clock', BEHIND, /expected LEASE_HELD/, inMemory(GoesByItsOwnClock)],
  ['begins in its head', ENDED, /pending: undefined/, inMemory(BeginsInItsHead)],
  ['uses ids twice', MODEL, /The store \(first\) and the model differ .*seed \d+/, inMemory(UsesIdsTwice)],
  ['forgets its starts', LONG_HISTORY, /-\s+'start'/, inMemory(ForgetsItsStarts)],
  ['holds its history', LONG_HISTORY, /reading it held \d+ MiB/, inMemory(HoldsItsHistory)],
  ['never trims', LONG_HISTORY, /103010 entries are there/, inMemory(NeverTrims)],
  ['hopes for the best', BEGIN_CUT, /pending: undefined/, served(HopesForTheBest)],
  ['sends again', RESET_LOST, /2 resets in the history, sent 1 times/, served(SendsAgain)],
  ['gives up', COMMIT_LOST, /socket hang up/, served(GivesUp)],
  ['gives up', BEGIN_CUT, /socket hang up/, served(GivesUp)],
  ['forgets all', OUTLIVES, /expected LEASE_HELD/, served(ServedOffsetStore, true)],
  ['forgets all', KILLED, /has no stream/, served(ServedOffsetStore, true)],
] as const)('a store that %s fails "%s"', { timeout: 120_000 }, async ([, title, why, open]) => {
  await expect(runOf(title, open)).rejects.toThrow(why)
})
