import type { Agent } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../../src/core/clock.ts'
import { ConfigError, ConnectionError, errorMessage, isRetryable, TaskFailedError } from '../../src/core/errors.ts'
import { ownVersion } from '../../src/core/own-version.ts'
import type { Random } from '../../src/core/random.ts'
import type { Task } from '../../src/core/values.ts'
import { answerWithin } from '../../src/util/answer-within.ts'
import { detailsOf, type RowChunk, showRows } from './chunk-rows.ts'
import type { Circuit, Passage } from './circuit.ts'
import { type Endpoint, redactor } from './endpoint.ts'
import { judgeAnswer, type Verdict } from './judge-answer.ts'
import { describeFailure, networkCode } from './network-failure.ts'
import { type CompleteHttpOptions, findBadHeader, type HttpHeaders, type HttpRequestInfo } from './options.ts'
import { sendRequest } from './send-request.ts'

export type DeliveryParts = {
  readonly options: CompleteHttpOptions
  readonly endpoint: Endpoint
  readonly circuit: Circuit
  readonly agent: Agent
  readonly clock: Clock
  readonly random: Random
}

export type Delivery = { readonly task: Task; readonly chunk: RowChunk; readonly key: string; readonly signal: AbortSignal }

const FIRST_DELAY_MS = 200
const MAX_DELAY_MS = 5_000
/**
 * How long a task keeps trying one request, ms. What takes longer goes back to the driver, which waits without a slot: an executor on another machine takes
 * a task that moves no rows for a minute (`stallMs`) for stuck.
 */
const PATIENCE_MS = 20_000

/** Many a gateway refuses requests that do not say who sends them. */
const USER_AGENT = `tidemark/${ownVersion()}`

const zip = promisify(gzip)

/**
 * Sends the rows of one request until they are in.
 *
 * @throws ConnectionError where it was tried often enough, and with `retryAfterMs` where the endpoint is away; AuthError, ConfigError, RecordError where
 * another try would be answered the same
 */
export async function deliverChunk(delivery: Delivery, parts: DeliveryParts): Promise<void> {
  const { task, chunk, key, signal } = delivery
  const { options, circuit, clock, random, endpoint } = parts
  const body = options.compression === 'gzip' ? await zip(chunk.body) : chunk.body
  const startedAt = clock.monotonic()
  let isUnauthorized = false
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    const request = { ...requestInfo(task, chunk, key), attempt, isUnauthorized }
    const passage = circuit.enter()
    let verdict: Verdict
    try {
      verdict = await tryOnce(request, body, delivery, parts)
    } catch (error) {
      circuit.left(passage)
      throw error
    }
    if (verdict.is !== 'again') circuit.succeeded(passage)
    if (verdict.is === 'in') return
    if (verdict.is === 'refused') throw verdict.error
    if (verdict.is === 'unauthorized') {
      // A token that was kept may have ended: the job's function is asked once more, and told so.
      if (isUnauthorized || typeof options.headers !== 'function') throw verdict.error
      isUnauthorized = true
      continue
    }
    const { reason, retryAfterMs = 0 } = verdict
    const backOffMs = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS) * (0.5 + random.number() / 2)
    const delayMs = Math.max(backOffMs, retryAfterMs)
    const patienceMs = startedAt + PATIENCE_MS - clock.monotonic()
    note(circuit, passage, verdict, delayMs > patienceMs ? retryAfterMs : 0)
    circuit.check()
    if (attempt >= options.attempts || delayMs > patienceMs) {
      throw new ConnectionError(
        `${endpoint.shown} did not take ${showRows(chunk, task)} of output ${task.output} in ${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}: ${reason}`,
        { details: detailsOf(chunk, task) },
      )
    }
    await clock.sleep(delayMs, signal)
  }
}

/** A request as functions of the job are told of it, before its first attempt. */
export function requestInfo(task: Task, { number, firstRow, lastRow }: Omit<RowChunk, 'body'>, idempotencyKey: string): HttpRequestInfo {
  return { task, chunk: number, firstRow, lastRow, idempotencyKey, attempt: 1, isUnauthorized: false }
}

function note(circuit: Circuit, passage: Passage, { reason, isAway }: Extract<Verdict, { is: 'again' }>, retryAfterMs: number): void {
  if (!isAway) circuit.succeeded(passage)
  else if (retryAfterMs > 0) circuit.failed(passage, reason, retryAfterMs)
  else circuit.failed(passage, reason)
}

async function tryOnce(request: HttpRequestInfo, body: Uint8Array, delivery: Delivery, parts: DeliveryParts): Promise<Verdict> {
  const { task, chunk, signal, key } = delivery
  const { options, endpoint, agent, clock } = parts
  const given = await askForHeaders(request, delivery, parts)
  if ('is' in given) return given
  const headers = {
    'user-agent': USER_AGENT,
    // What is wrong with rows is then said in words, and not as a page.
    accept: 'application/json, text/plain, */*',
    ...(typeof options.body === 'string' && { 'content-type': options.body === 'json' ? 'application/json' : 'application/x-ndjson' }),
    ...lowerCased(given.headers),
    ...(options.compression === 'gzip' && { 'content-encoding': 'gzip' }),
    [options.keyHeader.toLowerCase()]: key,
  }
  try {
    const { method, timeoutMs } = options
    const answer = await sendRequest({ url: endpoint.url, method, headers, body, agent, timeoutMs, clock, signal })
    const redact = redactor(endpoint.url, given.headers)
    return judgeAnswer(answer, { task, chunk, endpoint: endpoint.shown, honoursKeys: options.honoursKeys, now: clock.now(), redact })
  } catch (error) {
    signal.throwIfAborted()
    return { is: 'again', reason: describeFailure(error, body.length), retryAfterMs: undefined, isAway: true }
  }
}

/** Those of the options, or what the job's function gives: where it failed on the network of its own, the request counts as tried. */
async function askForHeaders(
  request: HttpRequestInfo,
  { task, signal }: Delivery,
  { options: { headers, keyHeader, timeoutMs } }: DeliveryParts,
): Promise<{ readonly headers: HttpHeaders } | Extract<Verdict, { is: 'again' }>> {
  if (typeof headers !== 'function') return { headers }
  let given: HttpHeaders
  try {
    // A function of the job that listens to no signal must not keep a task for ever.
    given = await answerWithin(Promise.resolve(headers(request)), timeoutMs, signal)
  } catch (error) {
    signal.throwIfAborted()
    const reason = `the headers function of output ${task.output} failed: ${errorMessage(error)}`
    if (isRetryable(error) || networkCode(error) !== undefined) return { is: 'again', reason, retryAfterMs: undefined, isAway: true }
    throw new TaskFailedError(`T${reason.slice(1)}`, { cause: error })
  }
  const bad = findBadHeader(given, keyHeader)
  if (bad === undefined) return { headers: given }
  throw new ConfigError(`The headers function of output ${task.output} gave headers that cannot be sent: ${bad}.`)
}

/** Names in one spelling: `Content-Type` of the job takes the place of ours. */
function lowerCased(headers: HttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
