import { expect } from 'vitest'
import type { Ended } from '../src/cli/node-process.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { destinationState } from './matrix/destination-state.ts'
import type { MatrixStream } from './matrix/plan.ts'
import { readOutput } from './matrix/read-output.ts'
import { startMatrix } from './matrix/run-matrix.ts'
import { withStore } from './matrix/stores.ts'

/** Where a driver stops itself, and how the next comes by its lease. */
export type ZombiePoint = { readonly at: string; readonly takenOver: 'by steal' | 'when its lease has ended' }

/** Short enough to be waited for. A driver that wakes finds out soon, by renewing. */
const SHORT_TTL_MS = 500
/** So long that a driver that wakes does not ask the store in time: whoever it meets first must refuse it. */
const LONG_TTL_MS = 60_000

const FENCED = 4

/** Points with the two ways of taking over in turns. */
export function inTurns(...points: readonly string[]): ZombiePoint[] {
  return points.map((at, index) => ({ at, takenOver: index % 2 === 0 ? 'by steal' : 'when its lease has ended' }))
}

/**
 * Stops a driver at the first point, has the next take the stream over and stops that at the second, and so on, until the last runs to the end: the
 * destination then is what Java reads. Then wakes one after another: each ends as fenced, and has changed nothing in destination and store.
 */
export async function runZombies(stream: MatrixStream, points: readonly ZombiePoint[], byJava: readonly string[]): Promise<void> {
  const zombies = []
  let steal = false
  for (const { at, takenOver } of points) {
    const leaseTtlMs = takenOver === 'by steal' ? LONG_TTL_MS : SHORT_TTL_MS
    // One that is to renew must not be done before.
    const until = at.includes('renew') ? 'stopped' : 'latest'
    const process = startMatrix({ ...stream, leaseTtlMs, until, steal }, `stop ${at}`)
    await process.says('struck')
    zombies.push({ at, process })
    steal = takenOver === 'by steal'
  }
  const last = await startMatrix({ ...stream, leaseTtlMs: LONG_TTL_MS, until: 'latest', steal }, '').ended
  expect(last, saidOf('the last', last)).toMatchObject({ code: 0 })
  for (const target of [stream.target, stream.alsoInto ?? stream.target]) {
    expect((await readOutput({ ...stream, target }, kafkaCluster(), '')).sort()).toEqual(byJava)
  }

  const before = await stateOf(stream)
  expect(before.stream).toMatchObject({ epoch: points.length + 1, pending: null })
  for (const { at, process } of zombies) {
    process.wake()
    const ended = await process.ended
    const { code, stdout, stderr } = ended
    expect({ at, code, stdout }, saidOf(at, ended)).toEqual({ at, code: FENCED, stdout: '' })
    expect(linesOf(stderr), saidOf(at, ended)).toContainEqual(
      expect.objectContaining({ code: 'FENCED', msg: expect.stringMatching(/took over|carries epoch/) }),
    )
    expect(linesOf(stderr).filter(isRetryOfFenced)).toEqual([])
    expect(await stateOf(stream), at).toEqual(before)
  }
}

async function stateOf(stream: MatrixStream) {
  const snapshot = await withStore(stream, store => store.snapshot(stream.stream))
  return { stream: snapshot, destination: await destinationState(stream, kafkaCluster()) }
}

/** In its first line what a list of failures has room for. */
function saidOf(at: string, { code, stderr }: Ended): string {
  return `${at}: ended with ${code}, ${stderr.trim().split('\n').at(-1)}\n${stderr}`
}

type LogLine = { readonly code?: string; readonly msg?: string; readonly err?: { readonly code?: string } }

function linesOf(stderr: string): LogLine[] {
  return stderr
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
}

function isRetryOfFenced({ msg, err }: LogLine): boolean {
  return err?.code === 'FENCED' && msg?.includes('is tried again') === true
}
