import { afterAll, beforeAll, describe, test } from 'vitest'
import { uniqueName } from '../support/kafka.ts'
import { MatrixTopic } from './matrix/matrix-topic.ts'
import type { OutputKind } from './matrix/plan.ts'
import { inTurns, runZombies } from './zombie-chain.ts'

/** Inside a sink's write, the third or fourth of a process: its batch before is complete. */
const LEDGER_POINTS = [
  'before fence 1',
  'after rows 3',
  'after rows 4',
  'before ledger 3',
  'before ledger 4',
  'after ledger 3',
  'after ledger 4',
]
const FILE_POINTS = ['before fence 1', 'after rows 3', 'after rows 4', 'before write 3', 'after write 3']
/** Also the driver itself, in the steps by which it makes a batch count. */
const ROLL_POINTS = [
  ...FILE_POINTS,
  ...[
    'before parts 3',
    'before commitBatch 2',
    'before rolling 2',
    'before rolled 2',
    'after rolled 2',
    'before manifest 2',
    'after manifest 2',
  ],
]
const POINTS: Partial<Record<OutputKind, readonly string[]>> = { files: FILE_POINTS, 'rolled files': ROLL_POINTS }
const OUTPUTS: readonly OutputKind[] = ['postgres append', 'postgres upsert', 'redis', 'kafka', 'files', 'rolled files']

let topic: MatrixTopic
let ran = 0

beforeAll(async () => {
  topic = await MatrixTopic.fill('zombies', 1_000)
})

afterAll(async () => {
  await topic[Symbol.asyncDispose]()
  process.stderr.write(`zombies: ${ran} combinations of a place to stop and an output\n`)
})

describe('drivers that were paused in the middle of a write and taken over are fenced when they wake, and change nothing', () => {
  test.for(OUTPUTS)('of %s', { timeout: 300_000 }, async output => {
    const points = inTurns(...(POINTS[output] ?? LEDGER_POINTS))
    const recordsPerBatch = output === 'rolled files' ? 10 : 20
    await runZombies(await topic.stream('redis', output, { recordsPerBatch }), points, topic.byJava)
    ran += points.length
  })

  test('of two outputs in one database', { timeout: 300_000 }, async () => {
    const alsoInto = uniqueName('also').replaceAll('-', '_')
    const stream = await topic.stream('redis', 'postgres append', { recordsPerBatch: 20, alsoInto })
    // Four ledger writes a batch: one output may be in while the other is not.
    const points = inTurns('after rows 3', 'before ledger 5', 'before ledger 6', 'after ledger 7', 'before commit 2')
    await runZombies(stream, points, topic.byJava)
    ran += points.length
  })
})
