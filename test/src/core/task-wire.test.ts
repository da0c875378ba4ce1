import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import { groupsFromWire, groupsToWire, resultsFromWire, resultsToWire, WIRE_VERSION, type WireGroups } from '../../../src/core/task-wire.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'

const policy = fc.constantFrom('fail' as const, 'skip' as const)
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
const count = fc.oneof(fc.nat(1_000), fc.nat(Number.MAX_SAFE_INTEGER))

const range: fc.Arbitrary<OffsetRange> = fc
  .record({ topic: text, partition: fc.nat(100_000), fromOffset: count, untilOffset: count }, { noNullPrototype: true })
  .chain(plain =>
    fc.record({ topicId: text, leaderEpoch: fc.nat() }, { requiredKeys: [], noNullPrototype: true }).map(rest => ({ ...plain, ...rest })),
  )

const kind = fc.record(
  {
    isolation: fc.constantFrom('read_committed' as const, 'read_uncommitted' as const),
    timeoutMs: fc.nat(),
    onDataLoss: fc.record({ retention: policy, truncation: policy, recreated: policy, removed: policy }, { noNullPrototype: true }),
    onRecordError: policy,
    outputs: fc.uniqueArray(text, { minLength: 1, maxLength: 4 }),
  },
  { noNullPrototype: true },
)

/** Groups of one batch, as the dispatcher makes them: a few kinds and topics among many ranges. */
const groups: fc.Arbitrary<TaskGroup[]> = fc
  .record({
    batch: fc.record({ stream: text, batchId: count, epoch: count, batchTime: count }, { noNullPrototype: true }),
    members: fc.array(fc.record({ range, kind, index: count, attempt: text }), { minLength: 1, maxLength: 12 }),
  })
  .map(({ batch, members }) =>
    members.map(({ range, kind: { outputs, ...kind }, index, attempt }) => ({
      ...kind,
      range,
      tasks: outputs.map((output): Task => ({ ...batch, index, range, output, attempt })),
    })),
  )

const overJson = <T>(value: T): T => JSON.parse(JSON.stringify(value))

function group(at: number, rest: Partial<Task> = {}): TaskGroup {
  const range = { topic: 'orders', partition: at, fromOffset: 0, untilOffset: 10, ...rest.range }
  const task = { stream: 'shop', batchId: 7, epoch: 2, batchTime: 1_000, attempt: `2-7-${at}-1`, index: at, output: 'out', ...rest, range }
  const onDataLoss = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
  return { range, isolation: 'read_committed', timeoutMs: 60_000, onDataLoss, onRecordError: 'fail', tasks: [task] }
}

const firstOf = ({ tasks: [task] }: TaskGroup): Task => task ?? expect.unreachable('a group without tasks')

function resultOf(task: Task, rest: Partial<TaskResult> = {}): TaskResult {
  return { task, alreadyApplied: false, records: 10, rows: 9, bytes: 730, startTime: 1, endTime: 2, ...rest }
}

describe('groups', () => {
  test('come back as they were, whatever is in them', () => {
    fc.assert(
      fc.property(groups, sent => {
        expect(groupsFromWire(overJson(groupsToWire(sent)))).toStrictEqual(sent)
      }),
      { numRuns: 300 },
    )
  })

  test('say once what they have in common: ten thousand are less than a megabyte', () => {
    const sent = Array.from({ length: 10_000 }, (_, at) => group(at))
    const wire = groupsToWire(sent)
    expect([wire.kinds.length, wire.topics.length]).toEqual([1, 1])
    expect(JSON.stringify(wire).length).toBeLessThan(1_000_000)
    expect(groupsFromWire(wire)).toStrictEqual(sent)
  })

  test('leave behind what they were estimated to weigh', () => {
    const [back] = groupsFromWire(groupsToWire([{ ...group(0), estimatedBytes: 700 }]))
    expect(back).toStrictEqual(group(0))
  })

  test.for([
    ['stream', { stream: 'other' }],
    ['batch', { batchId: 8 }],
    ['epoch', { epoch: 3 }],
    ['batch time', { batchTime: 1_001 }],
  ] as const)('of another %s go in a message of their own', ([, other]) => {
    expect(() => groupsToWire([group(0), group(1, other)])).toThrow(expect.objectContaining({ code: 'TASK_FAILED' }))
  })

  test('whose tasks are not of one attempt are refused', () => {
    const one = group(0)
    const [task] = one.tasks
    expect(() => groupsToWire([{ ...one, tasks: [...one.tasks, { ...group(0).tasks[0], ...task, attempt: 'another' } as Task] }])).toThrow(
      /several batches/,
    )
  })

  test('that are none make no message', () => {
    expect(() => groupsToWire([])).toThrow(/without tasks/)
    expect(() => groupsToWire([{ ...group(0), tasks: [] }])).toThrow(/without tasks/)
  })

  test.for([WIRE_VERSION + 1, 0, '1', undefined])('of version %o are refused with what to do', v => {
    const wire = { ...groupsToWire([group(0)]), v } as unknown as WireGroups
    expect(() => groupsFromWire(wire)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(/Run the same version of tidemark on both/) }),
    )
  })

  test.for<[string, (wire: WireGroups) => unknown]>([
    ['a kind that is not there', wire => ({ ...wire, kinds: [] })],
    ['a topic that is not there', wire => ({ ...wire, topics: [] })],
    ['no groups', ({ groups: _, ...wire }) => wire],
    ['groups that are none', wire => ({ ...wire, groups: 'cut' })],
  ])('that are damaged are told from those of another version: %s', ([, damage]) => {
    const wire = damage(overJson(groupsToWire([group(0)]))) as WireGroups
    expect(() => groupsFromWire(wire)).toThrow(expect.objectContaining({ code: 'TASK_FAILED', message: expect.stringMatching(/damaged/) }))
  })

  test.for([null, undefined, 'text', 7])('that are no message at all are refused: %o', wire => {
    expect(() => groupsFromWire(wire as unknown as WireGroups)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
  })
})

describe('results', () => {
  test('come back with the tasks that the driver has', () => {
    const one = group(0)
    const task = firstOf(one)
    const result = resultOf(task, {
      skipped: { count: 2, samples: [{ offset: 3, stage: 'map (parse)', message: 'no' }] },
      losses: [{ cause: 'retention', message: 'gone', missing: [one.range], resumeAt: 5 }],
    })
    expect(resultsFromWire(one, overJson(resultsToWire([result])))).toStrictEqual([result])
  })

  test('have their gathered rows again', () => {
    const one = group(0)
    const result = resultOf(firstOf(one), { gathered: [{ at: new Date(0), id: 1n }, Buffer.from('a')] })
    expect(resultsFromWire(one, resultsToWire([result]))).toStrictEqual([result])
  })

  test('whose output gathers nothing are told from those that gathered no row', () => {
    const one = group(0)
    const task = firstOf(one)
    const [none] = resultsFromWire(one, resultsToWire([resultOf(task)]))
    expect(none && 'gathered' in none).toBe(false)
    expect(resultsFromWire(one, resultsToWire([resultOf(task, { gathered: [] })]))[0]?.gathered).toEqual([])
  })

  test('that are too few or too many for the tasks of their range are refused', () => {
    const one = group(0)
    expect(() => resultsFromWire(one, [])).toThrow(/0 results for the 1 tasks/)
    const wire = resultsToWire([resultOf(firstOf(one)), resultOf(firstOf(one))])
    expect(() => resultsFromWire(one, wire)).toThrow(expect.objectContaining({ code: 'TASK_FAILED' }))
  })
})
