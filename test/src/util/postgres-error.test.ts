import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../../src/core/errors.ts'
import { describePostgresError, isConnectionLost, sqlState } from '../../../src/util/postgres-error.ts'

const PLACE = { use: 'offset store', address: 'localhost:5432/orders' }

/** An error as `pg` makes it of the server's message. */
function serverError(code: string, message = 'what the server says'): Error {
  return Object.assign(new Error(message), { code, severity: 'ERROR' })
}

function socketError(code: string, message = `connect ${code} 127.0.0.1:5432`): Error {
  return Object.assign(new Error(message), { code })
}

const known: readonly (readonly [Error, ErrorCode, boolean])[] = [
  [serverError('28P01'), 'AUTH', false],
  [serverError('28000'), 'AUTH', false],
  [serverError('08P01', 'SASL authentication failed'), 'AUTH', false],
  [serverError('42501'), 'AUTH', false],
  [serverError('3D000'), 'CONFIG', false],
  [serverError('22P05'), 'CONFIG', false],
  [serverError('25006'), 'CONNECTION', true],
  [serverError('40P01'), 'CONNECTION', true],
  [serverError('40001'), 'CONNECTION', true],
  [serverError('53100'), 'CONNECTION', true],
  [serverError('53300'), 'CONNECTION', true],
  [serverError('57P01'), 'CONNECTION', true],
  [serverError('57P03'), 'CONNECTION', true],
  [serverError('57P04'), 'CONNECTION', false],
  [serverError('08P01', 'server conn crashed?'), 'CONNECTION', true],
  [serverError('55P03'), 'TIMEOUT', true],
  [serverError('57014'), 'TIMEOUT', true],
  [serverError('0A000'), 'UNSUPPORTED', false],
  [serverError('42601'), 'CONNECTION', false],
  [socketError('ECONNREFUSED'), 'CONNECTION', true],
  [socketError('ENOTFOUND'), 'CONNECTION', true],
  [new Error('Connection terminated unexpectedly'), 'CONNECTION', true],
  [new Error('Query read timeout'), 'CONNECTION', true],
  [new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'), 'AUTH', false],
  [new Error('The server does not support SSL connections'), 'CONFIG', false],
  [socketError('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'), 'CONFIG', false],
  [new Error('Cannot use a pool after calling end on the pool'), 'CONFIG', false],
]

describe('an error of Postgres', () => {
  test.for(known)('%s', ([error, code, retryable]) => {
    const described = describePostgresError(error, PLACE)
    expect(described).toMatchObject({ code, retryable, cause: error })
    expect(described?.message).toContain('offset store at localhost:5432/orders')
  })

  test('of every address of a name is one error that names them all', () => {
    const refused = [socketError('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432'), socketError('ECONNREFUSED')]
    const error = Object.assign(new AggregateError(refused), { code: 'ECONNREFUSED' })
    expect(describePostgresError(error, PLACE)?.message).toContain('ECONNREFUSED ::1:5432, connect ECONNREFUSED 127.0.0.1:5432')
  })

  test('is none where somebody else threw, or is ours already', () => {
    expect(describePostgresError(new TypeError('x is not a function'), PLACE)).toBeUndefined()
    expect(describePostgresError('a text', PLACE)).toBeUndefined()
    const ours = describePostgresError(serverError('55P03'), PLACE)
    expect(describePostgresError(ours, PLACE)).toBe(ours)
  })
})

test('a lost connection is one that ended, and not one that refused a statement', () => {
  for (const error of [
    serverError('57P01'),
    serverError('25P03'),
    serverError('08006'),
    socketError('ECONNRESET'),
    new Error('Connection terminated'),
  ]) {
    expect(isConnectionLost(error), error.message).toBe(true)
  }
  for (const error of [serverError('57014'), serverError('40P01'), serverError('42P01'), new Error('other'), 'ECONNRESET']) {
    expect(isConnectionLost(error)).toBe(false)
  }
})

test('only the server has an SQLSTATE', () => {
  expect(sqlState(serverError('42P01'))).toBe('42P01')
  for (const error of [socketError('EPIPE'), new Error('no code'), 'text', undefined]) expect(sqlState(error)).toBeUndefined()
})
