import { ConnectionError, DataLossError, FencedError, RecordError, TaskFailedError } from '../../core/errors.ts'

/** An error as a job has them: of its own class, with a field. */
class PaymentRefused extends Error {
  override readonly name = 'PaymentRefused'
  readonly account: { readonly id: number; readonly holders: readonly string[] }

  constructor(message: string, account: PaymentRefused['account'], options: ErrorOptions) {
    super(message, options)
    this.account = account
  }
}

const MISSING = { topic: 'orders', partition: 3, fromOffset: 10, untilOffset: 20 }

/** What the contract's outputs throw, each made anew in the thread that throws it. */
export const THROWN: Readonly<Record<string, () => Error>> = {
  'type-error': () =>
    Object.assign(new TypeError('total is not a number'), { order: 7, code: 'ERR_TOTAL', tags: ['a', null], isLate: true }),
  'own-class': () =>
    new PaymentRefused(
      'the bank said no',
      { id: 12, holders: ['Ada', 'Émile'] },
      { cause: new RangeError('limit is 100', { cause: new Error('a rule') }) },
    ),
  'system-error': () =>
    Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), { errno: -111, code: 'ECONNREFUSED', syscall: 'connect' }),
  aggregate: () => new AggregateError([new TypeError('one'), new FencedError('two', { details: { epoch: 2 } })], 'both failed'),
  'record-error': () =>
    new RecordError('a record is wrong', { details: { topic: 'orders', partition: 3, offset: 12, stage: 'map (parse)' } }),
  fenced: () => new FencedError('the fence is at epoch 9', { details: { epoch: 8, fence: 9 }, cause: new Error('0 rows') }),
  'data-loss': () =>
    new DataLossError('retention', 'orders/3 [10, 20) is gone', [MISSING], {
      resumeAt: 20,
      details: { leader: 2 },
      cause: new Error('offset out of range'),
    }),
  'may-pass': () => new ConnectionError('the broker hung up', { details: { broker: 'localhost:9092' } }),
  'does-not-pass': () => new ConnectionError('no such host', { retryable: false }),
  'of-a-task': () => new TaskFailedError('the table is gone', { cause: new SyntaxError('relation does not exist') }),
}
