import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { errorFromWire, errorToWire, type WireError } from '../../../src/core/error-wire.ts'
import {
  AuthError,
  ConfigError,
  ConflictError,
  ConnectionError,
  DataLossError,
  DecodeError,
  FencedError,
  isDataLoss,
  isRetryable,
  isTidemarkError,
  JobError,
  LeaseHeldError,
  LedgerConflictError,
  RecordError,
  TaskFailedError,
  TidemarkError,
  TimeoutError,
  UnsupportedError,
} from '../../../src/core/errors.ts'

const MISSING = { topic: 'orders', partition: 3, fromOffset: 10, untilOffset: 20 }

/** There and back, with plain JSON in between. */
function across(error: unknown): Error & Record<string, unknown> {
  const wire: WireError = JSON.parse(JSON.stringify(errorToWire(error)))
  return errorFromWire(wire) as Error & Record<string, unknown>
}

describe('an error of ours', () => {
  const options = { details: { topic: 'orders', partition: 3, epoch: 7 }, cause: new Error('why') }
  const ours: readonly TidemarkError[] = [
    new AuthError('no', options),
    new ConfigError('no', options),
    new ConflictError('no', options),
    new ConnectionError('no', options),
    new ConnectionError('no', { ...options, retryable: false }),
    new DataLossError('retention', 'no', [MISSING], { ...options, resumeAt: 20 }),
    new DataLossError('removed', 'no', [MISSING]),
    new DecodeError('no', { ...options, at: { topic: 't', partition: 1, offset: 5 }, retryable: true }),
    new FencedError('no', options),
    new JobError('no', options),
    new LeaseHeldError('no', options),
    new LedgerConflictError('no', options),
    new RecordError('no', options),
    new TaskFailedError('no', options),
    new TaskFailedError('no', { ...options, retryable: true }),
    new TidemarkError('CONFLICT', 'no', options),
    new TimeoutError('no', { ...options, retryable: false }),
    new UnsupportedError('no', options),
  ]

  test.for(ours.map(error => [`${error.name}, ${error.retryable ? 'retryable' : 'final'}`, error] as const))(
    'is of its class again: %s',
    ([, error]) => {
      const back = across(error)
      expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(error))
      expect(isTidemarkError(back, error.code)).toBe(true)
      expect(isRetryable(back)).toBe(error.retryable)
      expect(isDataLoss(back)).toBe(isDataLoss(error))
      expect({ ...back }).toEqual({ ...error })
      expect(back.name).toBe(error.name)
      expect(back.message).toBe(error.message)
      expect(back.stack).toBe(error.stack)
      expect((back.cause as Error | undefined)?.message).toBe((error.cause as Error | undefined)?.message)
    },
  )

  test('about lost data knows what is gone and where its log goes on', () => {
    const back = across(new DataLossError('truncation', 'gone', [MISSING, { ...MISSING, partition: 4 }], { resumeAt: 12 }))
    if (!isDataLoss(back)) throw new TypeError('It is no data loss any more.')
    expect([back.lossCause, back.missing, back.resumeAt]).toEqual(['truncation', [MISSING, { ...MISSING, partition: 4 }], 12])
    const forGood = across(new DataLossError('removed', 'gone', [MISSING]))
    expect(isDataLoss(forGood) && forGood.resumeAt).toBeUndefined()
  })

  test('lists every range that is gone, also ten thousand of them', () => {
    const missing = Array.from({ length: 10_000 }, (_, partition) => ({ ...MISSING, partition }))
    expect(across(new DataLossError('retention', 'gone', missing)).missing).toEqual(missing)
  })

  test('keeps the fields that a subclass of another package gave it', () => {
    class QuotaError extends FencedError {
      readonly quota = { left: 0 }
    }
    const back = across(new QuotaError('no'))
    expect(back).toMatchObject({ name: 'QuotaError', code: 'FENCED', quota: { left: 0 } })
    expect(isTidemarkError(back, 'FENCED')).toBe(true)
  })

  test('has details of plain data only', () => {
    const details = { id: 2n ** 60n, at: new Date(0), bytes: Buffer.from('ab'), run: () => 1, none: undefined, share: Number.NaN }
    expect(across(new ConfigError('no', { details })).details).toEqual({
      id: '1152921504606846976',
      at: '1970-01-01T00:00:00.000Z',
      bytes: 'YWI=',
      share: 'NaN',
    })
  })
})

describe('an error of the language', () => {
  test.for([EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, Error])('is of its class again: %o', Class => {
    const error = Object.assign(new Class('no'), { order: 7 })
    const back = across(error)
    expect(back.constructor).toBe(Class)
    expect(back).toMatchObject({ name: error.name, message: 'no', order: 7, stack: error.stack })
    expect(isTidemarkError(back)).toBe(false)
    expect(isRetryable(back)).toBe(false)
  })

  test('that holds others has them again, each with its class', () => {
    const back = across(
      new AggregateError([new TypeError('one'), new FencedError('two'), 'three'], 'all failed', { cause: new Error('why') }),
    )
    expect(back).toBeInstanceOf(AggregateError)
    const { errors } = back as unknown as AggregateError
    expect(errors.map(error => [error.constructor, error.message])).toEqual([
      [TypeError, 'one'],
      [FencedError, 'two'],
      [Error, 'three'],
    ])
    expect((back.cause as Error).message).toBe('why')
  })

  test('of the system keeps what programs look at', async () => {
    const refused = await new Promise<Error>((resolve, reject) => {
      const socket = connect(1, '127.0.0.1', () => reject(new Error('somebody listens on port 1')))
      socket.on('error', resolve)
    })
    expect(across(refused)).toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      port: 1,
      address: '127.0.0.1',
      message: refused.message,
    })
  })

  test('that an abort gives keeps its name', async () => {
    const error = await setTimeout(1_000, undefined, { signal: AbortSignal.abort() }).catch(thrown => thrown)
    expect(across(error)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted' })
    expect(across(AbortSignal.abort().reason)).toMatchObject({ name: 'AbortError', message: 'This operation was aborted' })
  })
})

describe("an error of a job's own class", () => {
  class PaymentRefused extends Error {
    override readonly name = 'PaymentRefused'
    readonly code = 'PAYMENT'
    readonly details = { account: 12 }
    readonly retryable = true
  }

  test('keeps its name and fields, also those that ours have, and is none of ours', () => {
    const back = across(new PaymentRefused('the bank said no'))
    expect(back).toMatchObject({ name: 'PaymentRefused', code: 'PAYMENT', details: { account: 12 }, retryable: true })
    expect(isTidemarkError(back)).toBe(false)
    expect(isRetryable(back)).toBe(false)
  })

  test('that only has the name of one of ours is none of ours', () => {
    const back = across(Object.assign(new Error('no'), { name: 'FencedError', code: 'FENCED' }))
    expect(isTidemarkError(back)).toBe(false)
    expect(back).not.toBeInstanceOf(FencedError)
    expect(back.name).toBe('FencedError')
  })

  test('keeps big integers, bytes, dates, maps and sets as what JSON can say of them', () => {
    const fields = {
      id: 2n ** 64n,
      bytes: new Uint8Array([1, 2]),
      at: new Date(0),
      by: new Map([['a', 1]]),
      of: new Set([3]),
      deep: { list: [1, [2]] },
    }
    const back = across(
      Object.assign(new Error('no'), fields, { run() {}, symbol: Symbol('s'), inner: new Error('inside'), endless: -Infinity }),
    )
    expect({ ...back }).toEqual({
      id: '18446744073709551616',
      bytes: 'AQI=',
      at: '1970-01-01T00:00:00.000Z',
      by: [['a', 1]],
      of: [3],
      deep: { list: [1, [2]] },
      inner: 'inside',
      endless: '-Infinity',
    })
  })
})

describe('what would break a message', () => {
  test('a chain of causes keeps the classes of all that are looked at, and ends', () => {
    const chain = across(new RecordError('0', { cause: new TypeError('1', { cause: new ConnectionError('2', { cause: 'text' }) }) }))
    const causes: unknown[] = []
    for (let at: unknown = chain; at instanceof Error; at = at.cause) causes.push([at.constructor, at.message])
    expect(causes).toEqual([
      [RecordError, '0'],
      [TypeError, '1'],
      [ConnectionError, '2'],
      [Error, 'text'],
    ])
    const loop = new Error('loop')
    loop.cause = new Error('back', { cause: loop })
    let length = 0
    for (let at: unknown = across(loop); at instanceof Error; at = at.cause) length++
    expect(length).toBeGreaterThan(2)
    expect(length).toBeLessThan(20)
  })

  test('a field that leads back to itself ends where it does', () => {
    const socket: Record<string, unknown> = { host: 'localhost' }
    socket.self = socket
    socket.list = [socket, { socket }]
    expect(across(Object.assign(new Error('no'), { socket })).socket).toEqual({ host: 'localhost', list: [null, {}] })
  })

  test('an object that stands in two places stands in both', () => {
    const range = { from: 1 }
    expect({ ...across(Object.assign(new Error('no'), { first: range, second: [range] })) }).toEqual({ first: range, second: [range] })
  })

  test('fields that hold half of the process are cut', () => {
    type Node = { name: string; next: Node[] }
    const nodes = Array.from({ length: 40 }, (_, at): Node => ({ name: `node ${at}`, next: [] }))
    for (const node of nodes) node.next = nodes
    const wire = JSON.stringify(errorToWire(Object.assign(new Error('no'), { nodes })))
    expect(wire.length).toBeLessThan(200_000)
    expect(across(Object.assign(new Error('no'), { code: 'E', nodes })).code).toBe('E')
  })

  test('messages, stacks, texts and bytes of megabytes are cut, and say so', () => {
    const huge = 'x'.repeat(5_000_000)
    const error = Object.assign(new ConfigError(huge, { details: { huge } }), { query: huge, bytes: Buffer.alloc(5_000_000) })
    expect(JSON.stringify(errorToWire(error)).length).toBeLessThan(200_000)
    expect(across(error).message).toMatch(/^x{20000}… \(5000000 characters\)$/)
  })

  test.for([
    ['text', 'no', 'no'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 7, '7'],
    ['a symbol', Symbol('no'), 'Symbol(no)'],
  ] as const)('that is thrown and no error is one afterwards: %s', ([, thrown, message]) => {
    const back = across(thrown)
    expect([back.constructor, back.message]).toEqual([Error, message])
  })

  test('a getter that throws hides neither the error nor its other fields', () => {
    const error = Object.defineProperty(Object.assign(new Error('no'), { order: 7 }), 'request', {
      enumerable: true,
      get() {
        throw new TypeError('not yet')
      },
    })
    expect(across(error)).toMatchObject({ message: 'no', order: 7 })
    expect(across(Object.assign(new Error('no'), { deep: error })).message).toBe('no')
  })

  test('a message or a stack that is no text does not, whoever put it there', () => {
    const error = Object.assign(new Error('no'), { message: { code: 7 }, stack: ['a'] })
    expect(across(error)).toMatchObject({ message: '[object Object]', stack: expect.any(String) })
  })
})

test('a message of a later version, with fields that this one does not know, is read', () => {
  const back = errorFromWire({
    name: 'LaterError',
    message: 'no',
    tidemark: { code: 'LATER', retryable: true, details: {} },
    hint: 'wait',
  } as WireError)
  expect(isTidemarkError(back)).toBe(true)
  expect(isRetryable(back)).toBe(true)
  expect(back).toMatchObject({ name: 'LaterError', code: 'LATER' })
})
