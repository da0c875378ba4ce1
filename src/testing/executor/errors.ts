import assert from 'node:assert/strict'
import { errorMessage, isDataLoss, isTidemarkError } from '../../core/errors.ts'
import { type DefineTest, failure, group, refused, rowsOf, span } from './contract.ts'
import { THROWN } from './thrown-errors.ts'

/** Errors keep what tells a driver and a person what to do: class, code, message, details, fields, cause, and whether trying again may help. */
export function defineErrorTests(test: DefineTest): void {
  const errors = Object.entries(THROWN).map(([name, make]) => ({ topic: `throws-${name}`, expected: make() }))
  for (const [whose, isOurs] of [
    ['of this package', true],
    ["of the language, of a client and of the job's own", false],
  ] as const) {
    test(`errors ${whose} keep class, message, fields and cause`, async ({ stream, give }) => {
      const own = errors.filter(({ expected }) => isTidemarkError(expected) === isOurs)
      const thrown = await Promise.all(own.map(({ topic }, index) => failure(give(group(stream, { topic, index })))))
      for (const [at, { expected }] of own.entries()) assertAlike(thrown[at], expected)
    })
  }

  test("an error of a job's function names record and stage, and has the function's own error as its cause", async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'fails-in-map' })), 'RECORD')
    const { topic, partition, offset, stage } = error.details
    assert.deepEqual({ topic, partition, offset, stage }, { topic: 'fails-in-map', partition: 0, offset: 3, stage: 'map (toOffset)' })
    assert.equal(error.retryable, false)
    assertAlike(error.cause, new TypeError('no offset for this one'))
  })

  test('records that are gone end a group with exactly what is gone, where going on is not the policy', async ({ stream, give }) => {
    const one = group(stream, { topic: 'lost' })
    const error = await failure(give(one))
    assert.ok(isDataLoss(error))
    assert.deepEqual([error.lossCause, error.missing, error.resumeAt], ['retention', [{ ...one.range, untilOffset: 4 }], 4])
  })

  test('a task for an output that the job does not have is refused by its name', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { outputs: ['nowhere'] })), 'JOB')
    assert.match(error.message, /nowhere/)
  })

  test('more rows than an output gathers end the group', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'many', until: 1_500, outputs: ['gathered'] })), 'CONFIG')
    assert.match(error.message, /gathered/)
  })

  test('an error of one group leaves the others alone', async ({ stream, give, notes }) => {
    const sound = span(0, 20).map(index => group(stream, { partition: index % 10, from: 10, until: 30, index }))
    const failing = span(20, 24).map(index => group(stream, { topic: 'throws-type-error', index }))
    const [errors, results] = await Promise.all([
      Promise.all(failing.map(one => failure(give(one)))),
      Promise.all(sound.map(one => give(one))),
    ])
    for (const error of errors) assert.equal(errorMessage(error), 'total is not a number')
    assert.equal(results.length, sound.length)
    for (const { tasks } of sound) for (const task of tasks) assert.deepEqual(rowsOf(notes(), task), span(10, 30))
  })
}

const NATIVE = [AggregateError, RangeError, SyntaxError, TypeError] as const

function assertAlike(actual: unknown, expected: Error): void {
  assert.ok(actual instanceof Error, `${String(actual)} is no error`)
  assert.equal(actual.message, expected.message)
  assert.equal(actual.name, expected.name)
  for (const Class of NATIVE) assert.equal(actual instanceof Class, expected instanceof Class, `an instance of ${Class.name}`)
  assert.equal(isTidemarkError(actual), isTidemarkError(expected))
  // All that is its own but what the language puts there: code, details, retryable and the job's own fields alike.
  for (const field of Object.keys(expected)) assert.deepEqual(Reflect.get(actual, field), Reflect.get(expected, field), field)
  if (expected instanceof AggregateError && actual instanceof AggregateError) {
    assert.equal(actual.errors.length, expected.errors.length)
    for (const [at, inner] of expected.errors.entries()) assertAlike(actual.errors[at], inner)
  }
  if (expected.cause instanceof Error) assertAlike(actual.cause, expected.cause)
  else assert.equal(actual.cause, expected.cause)
}
