import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import type { OffsetStore, StreamState } from '../../../src/core/offset-store.ts'
import { seededRandom } from '../../../src/testing/index.ts'
import { offsetAfter, PARTITIONS, plannedBatch } from './planned-batch.ts'

const KILLS = 8
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'))
  path = join(folder, 'offsets.db')
})
afterEach(() => rm(folder, { recursive: true }))

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

function checkWhole(state: StreamState): void {
  if (state.lastBatchId > 0) expect(new Set(state.offsets.map(({ offset }) => offset))).toEqual(new Set([offsetAfter(state.lastBatchId)]))
  expect(state.offsets).toHaveLength(state.lastBatchId > 0 ? PARTITIONS : 0)
  if (state.pending !== undefined) expect(state.pending).toEqual(plannedBatch(state.lastBatchId + 1))
}

/** Lets the child take `steps`, kills it between two instructions of its own choosing, and gives what it last said of each kind. */
async function killAfter(child: ChildProcess, steps: number, store: OffsetStore): Promise<{ begun: number; committed: number }> {
  const said = { begun: 0, committed: 0 }
  let heard = 0
  for await (const line of createInterface({ input: child.stdout ?? expect.fail() })) {
    const [step, id] = line.split(' ')
    if (step === 'begun' || step === 'committed') said[step] = Number(id)
    heard += 1
    if (heard === steps) child.kill('SIGKILL')
    if (heard % 10 === 0) checkWhole(await store.read('orders'))
  }
  return said
}

test('a driver killed at any moment leaves each batch whole: committed, begun, or not there', async () => {
  const random = seededRandom(20_240_101)
  await using store = sqliteOffsets({ path })
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, [script('./crash-child.ts'), path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const said = await killAfter(child, 1 + Math.floor(random.number() * 60), store)
    expect(await exited).toEqual([null, 'SIGKILL'])

    const state = await store.read('orders')
    checkWhole(state)
    expect(state.lastBatchId).toBeGreaterThanOrEqual(said.committed)
    expect(state.pending?.id ?? state.lastBatchId).toBeGreaterThanOrEqual(said.begun)
    expect(state.epoch).toBe(kill + 1)
    const { history } = await store.snapshot('orders')
    expect(history.map(entry => entry.kind === 'batch' && entry.batch.id)).toEqual(
      Array.from({ length: state.lastBatchId }, (_, n) => n + 1),
    )
  }
})

test('processes that make the store and steal from each other at once never get the same epoch', async () => {
  const run = promisify(execFile)
  const outputs = await Promise.all([1, 2, 3].map(() => run(process.execPath, [script('./steal-child.ts'), path, '40'])))
  const epochs = outputs.flatMap(({ stdout }) => stdout.trim().split('\n').map(Number))
  expect(epochs.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, n) => n + 1))
  for (const { stderr } of outputs) expect(stderr).toBe('')
})
