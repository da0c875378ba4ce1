import { expect } from 'vitest'
import type { StreamSnapshot } from '../../src/core/offset-store.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { destinationState } from './matrix/destination-state.ts'
import type { MatrixStream } from './matrix/plan.ts'
import { readOutput } from './matrix/read-output.ts'
import { onMatrix, runMatrix, startMatrix } from './matrix/run-matrix.ts'
import { withStore } from './matrix/stores.ts'

/** Runs this many batches more in a driver that then dies, and gives the stream as its store has it. Records are left to go on with. */
export async function runBatches(stream: MatrixStream, count: number): Promise<StreamSnapshot> {
  const { signal, stderr } = await startMatrix(stream, `kill after commit ${count}`).ended
  expect(signal, stderr).toBe('SIGKILL')
  return snapshotOf(stream)
}

export function snapshotOf(stream: MatrixStream): Promise<StreamSnapshot> {
  return withStore(stream, store => store.snapshot(stream.stream))
}

/** The stream as an older or another store has it; without a snapshot it has none. */
export async function replaceStream(stream: MatrixStream, snapshot?: StreamSnapshot): Promise<void> {
  await withStore(stream, async store => {
    await store.remove(await store.acquire(stream.stream, 'somebody', 1_000, { steal: true }))
    if (snapshot !== undefined) await store.restore(snapshot)
  })
}

/** Lets drivers come and go that do nothing, until the next has a higher epoch than `epoch`. */
export async function passEpoch(stream: MatrixStream, epoch: number): Promise<void> {
  await withStore(stream, async store => {
    for (let granted = 0; granted < epoch; ) {
      const lease = await store.acquire(stream.stream, `somebody-${granted}`, 1_000, { steal: true })
      granted = lease.epoch
      await store.release(lease)
    }
  })
}

/** Runs the stream, which must be refused before it writes anything, and gives the sentence that the user sees. */
export async function expectRefused(
  stream: MatrixStream,
  { code, args = [] }: { code: number; args?: readonly string[] },
): Promise<string> {
  const before = await destinationState(stream, kafkaCluster())
  const positions = await positionsOf(stream)
  const refused = await runMatrix(stream, ...args)
  expect(refused, refused.stderr).toMatchObject({ code, stdout: '' })
  expect(await destinationState(stream, kafkaCluster())).toEqual(before)
  expect(await positionsOf(stream)).toEqual(positions)
  const sentence = refused.stderr.split('\n').findLast(line => line.startsWith('tidemark: '))
  expect(sentence, refused.stderr).toBeDefined()
  return sentence ?? ''
}

/** What the store has of the stream besides leases; nothing where it has no such stream, or one that has never moved. */
function positionsOf(stream: MatrixStream): Promise<unknown> {
  return withStore(stream, async store => {
    const { offsets, lastBatchId, pending } = await store.read(stream.stream)
    return { offsets, lastBatchId, pending, history: await Array.fromAsync(store.history(stream.stream)) }
  })
}

/** Runs the stream to the end with what the sentence names: `--adopt` and its output. */
export async function adopt(stream: MatrixStream, sentence: string): Promise<void> {
  const [, output = ''] = /--adopt (\S+?)[.,]?(?:\s|$)/.exec(sentence) ?? []
  const { code, stderr } = await runMatrix(stream, '--adopt', output)
  expect(code, stderr).toBe(0)
}

/** Puts the stream by hand where a snapshot has it. */
export async function resetTo(stream: MatrixStream, { offsets }: StreamSnapshot): Promise<void> {
  const to = offsets.map(({ topic, partition, offset }) => `${topic}:${partition}:${offset}`).join(',')
  const { code, stderr } = await onMatrix(stream, ['offsets', 'reset'], '--to', to, '--yes', '--steal')
  expect(code, stderr).toBe(0)
}

/** Replays the batches that the sentence names. */
export async function replay(stream: MatrixStream, sentence: string): Promise<void> {
  const [, first, last = first, upTo] = /does not have (?:batch(?:es)? (\d+)(?: to (\d+))?|batches up to (\d+))/.exec(sentence) ?? []
  const [from, to] = upTo === undefined ? [Number(first), Number(last)] : [1, Number(upTo)]
  expect(to, sentence).toBeGreaterThanOrEqual(from)
  const batches = Array.from({ length: to - from + 1 }, (_, index) => ['--batch', String(from + index)])
  const { code, stderr } = await onMatrix(stream, ['replay'], ...batches.flat(), '--append-again', '--yes')
  expect(code, stderr).toBe(0)
}

/** Runs the stream to the end as if nothing had been. */
export async function runOn(stream: MatrixStream): Promise<void> {
  const { code, stderr } = await runMatrix(stream)
  expect(code, stderr).toBe(0)
}

/** Nothing is lost and nothing doubled. */
export async function expectExactlyOnce(stream: MatrixStream, byJava: readonly string[]): Promise<void> {
  expect((await readOutput(stream, kafkaCluster(), '')).sort()).toEqual(byJava)
}
