import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError } from '../../../src/core/errors.ts'
import { parseOptions } from '../../../src/util/parse-options.ts'

/** What `parseOptions` throws for `value`, or a failure of the test where it accepts it. */
function refusal(schema: z.ZodType, value: unknown): ConfigError {
  try {
    parseOptions(schema, value, 'thing')
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('the options were accepted')
}

const limits = z.strictObject({
  maxRecords: z.int().min(1).optional(),
  rate: z
    .union([z.number().nonnegative(), z.custom<(x: string) => number>(value => typeof value === 'function')])
    .optional()
    .describe('records a second, or a function of the partition'),
})

describe('options that are right', () => {
  test('are completed with the defaults of the schema', () => {
    const schema = z.strictObject({ path: z.string(), depth: z.int().default(3) })
    expect(parseOptions(schema, { path: 'out' }, 'thing')).toEqual({ path: 'out', depth: 3 })
  })

  test('keep functions and instances as they were given', () => {
    const rate = () => 5
    expect(parseOptions(limits, { rate }, 'thing')).toEqual({ rate })
  })
})

describe('options that are wrong', () => {
  test('are all reported at once, one a line, each with path, value and accepted form', () => {
    const schema = z.strictObject({ name: z.string().min(1), limits, mode: z.enum(['fast', 'safe']), list: z.array(z.int()) })
    const error = refusal(schema, { name: '', limits: { maxRecords: 1.5, rate: 'much' }, mode: 'slow', list: [1, 'x'] })
    expect(error.message.split('\n')).toEqual([
      'thing: 5 options are wrong:',
      '  name is an empty string: expected non-empty text',
      '  limits.maxRecords is 1.5: expected a whole number',
      '  limits.rate is "much": expected records a second, or a function of the partition',
      '  mode is "slow": expected "fast" or "safe"',
      '  list[1] is "x": expected a number',
    ])
    expect(error.code).toBe('CONFIG')
    expect(error.details).toMatchObject({
      where: 'thing',
      problems: [expect.stringContaining('name'), ...new Array(4).fill(expect.any(String))],
    })
  })

  test('are said on one line when there is one', () => {
    const schema = z.strictObject({ directory: z.string().describe('the folder to write to') })
    expect(refusal(schema, { directory: undefined }).message).toBe('thing: directory is undefined: expected the folder to write to')
  })

  test('are explained by the words of the schema where it has its own', () => {
    const schema = z.strictObject({ connectionString: z.string({ error: 'is DATABASE_URL set?' }) })
    expect(refusal(schema, {}).message).toBe('thing: connectionString is undefined: is DATABASE_URL set?')
  })

  test('include what a refinement over several options finds', () => {
    const schema = z
      .object({ min: z.int(), max: z.int() })
      .refine(value => value.min <= value.max, { error: 'must not be above max', path: ['min'] })
    expect(refusal(schema, { min: 3, max: 2 }).message).toBe('thing: min is 3: must not be above max')
  })

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
  ])('include an argument that is no object at all: %s', (value, shown) => {
    expect(refusal(limits, value).message).toBe(`thing: the argument is ${shown}: expected an object`)
  })

  test('show NaN and an infinity as such', () => {
    const schema = z.strictObject({ a: z.number(), b: z.number().positive(), c: z.number().max(5) })
    expect(refusal(schema, { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: 6 }).message).toMatch(
      /a is NaN: expected a number\n {2}b is Infinity: expected a number\n {2}c is 6: expected a number, at most 5/,
    )
  })
})

describe('options nobody knows', () => {
  test.each([
    ['maxRecrods', 'did you mean maxRecords?'],
    ['Rate', 'did you mean rate?'],
    ['somethingElse', 'known are maxRecords and rate'],
  ])('are named with what comes nearest: %s', (key, advice) => {
    expect(refusal(limits, { [key]: 1 }).message).toBe(`thing: ${key} is not an option: ${advice}`)
  })

  test('are found inside optional and defaulted objects', () => {
    const schema = z.strictObject({ limits: limits.optional().default({}) })
    expect(refusal(schema, { limits: { maxRecord: 1 } }).message).toBe('thing: limits.maxRecord is not an option: did you mean maxRecords?')
  })
})

describe('alternatives', () => {
  const connection = z.union([
    z.strictObject({ pool: z.custom<object>(value => typeof value === 'object'), schema: z.string().optional() }),
    z.strictObject({ connectionString: z.string(), schema: z.string().optional() }),
  ])

  test('are judged by the one that was meant', () => {
    expect(refusal(connection, { connectionString: undefined, schema: 'x' }).message).toBe(
      'thing: connectionString is undefined: expected a string',
    )
    expect(refusal(connection, { pool: {}, schema: 5 }).message).toBe('thing: schema is 5: expected a string')
  })

  test('of another kind altogether are all named', () => {
    const schema = z.strictObject({ from: z.union([z.string(), z.array(z.string()), z.instanceof(RegExp)]) })
    expect(refusal(schema, { from: 5 }).message).toBe('thing: from is 5: expected a string, an array or a RegExp')
  })

  test("a union's own text is said where no member's mistake is nearer", () => {
    const schema = z.strictObject({
      from: z.union([z.string(), z.instanceof(RegExp)], { error: 'a name, or an expression that names are tested against' }),
    })
    expect(refusal(schema, { from: 5 }).message).toBe('thing: from is 5: a name, or an expression that names are tested against')
  })

  test('told apart by a word name the words', () => {
    const schema = z.strictObject({
      start: z.discriminatedUnion('at', [z.strictObject({ at: z.literal('earliest') }), z.strictObject({ at: z.literal('latest') })]),
    })
    expect(refusal(schema, { start: { at: 'newest' } }).message).toBe('thing: start.at is "newest": expected "earliest" or "latest"')
  })
})

describe('secrets', () => {
  test.each([
    [{ password: 5 }],
    [{ sasl: { username: 5 } }],
    [{ connectionString: 5 }],
    [{ apiKey: 5 }],
    [{ accessToken: 5 }],
    [{ client_secret: 5 }],
  ])('never reach the message: %o', value => {
    const leaf = z.strictObject({ username: z.string() })
    const schema = z.strictObject(Object.fromEntries(Object.keys(value).map(key => [key, key === 'sasl' ? leaf : z.string()])))
    expect(refusal(schema, value).message).toMatch(/ is a number that is not shown: expected a string/)
  })

  test.each(['redis://user:hunter2@host:6379', 'postgres://hunter2@host/db', 'host=db password=hunter2', 'x://h/?token=hunter2'])(
    'inside a value are not shown either: %s',
    url => {
      const message = refusal(z.strictObject({ url: z.string().max(3) }), { url }).message
      expect(message).toBe('thing: url is a string with credentials that is not shown: expected text of at most 3 characters')
    },
  )

  test('are not guessed from inside an object that is wrong as a whole', () => {
    const message = refusal(z.strictObject({ pool: z.string() }), { pool: { password: 'hunter2' } }).message
    expect(message).toBe('thing: pool is an object: expected a string')
  })

  test('that are missing or empty are still told', () => {
    const schema = z.strictObject({ password: z.string().min(1), token: z.string() })
    expect(refusal(schema, { password: '' }).message).toMatch(/password is an empty string.*\n.*token is undefined/)
  })

  test('a long value is cut', () => {
    expect(refusal(z.strictObject({ name: z.int() }), { name: 'x'.repeat(500) }).message.length).toBeLessThan(150)
  })
})
