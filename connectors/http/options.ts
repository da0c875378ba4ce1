import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import type { Task } from '../../src/core/values.ts'
import { type TlsOptions, tlsOptions } from '../../src/util/tls-options.ts'

/** Names and values of headers. */
export type HttpHeaders = Readonly<Record<string, string>>

/** A request as functions of the job are told of it. */
export type HttpRequestInfo = {
  readonly task: Task
  /** Which of the task's requests, from 0. The same rows at every attempt, in whatever process. */
  readonly chunk: number
  /** The rows in it by their place in the task, from 1, both included. */
  readonly firstRow: number
  readonly lastRow: number
  /** The same at every attempt, and of no other rows. */
  readonly idempotencyKey: string
  /** How often it has been tried, this time included. */
  readonly attempt: number
  /** The attempt before was answered with 401: a token that was kept is no longer good. Asked once more for each request, then the stream stops. */
  readonly isUnauthorized: boolean
}

/** Certificates of an `https:` endpoint. */
export type HttpTls = TlsOptions

/** What `httpSink` takes. */
export type HttpSinkOptions<Row = unknown> = {
  /** Where rows are sent: `https://…` or `http://…`. A user and password in it become basic authentication. */
  readonly url: string | undefined
  /** What messages call the output, behind `http:`: paths may hold secrets and are not shown. @default the URL's host */
  readonly name?: string | undefined
  /** Or `PUT`, `PATCH`. @default 'POST' */
  readonly method?: 'POST' | 'PUT' | 'PATCH' | undefined
  /** Of every request, or a function that is asked before each attempt, so that tokens can be fresh. Never shown. @default none */
  readonly headers?: HttpHeaders | ((request: HttpRequestInfo) => HttpHeaders | Promise<HttpHeaders>) | undefined
  /** A JSON array of the rows, or `ndjson`, or a function of the rows that gives text or bytes (name their `content-type` in `headers`). @default 'json' */
  readonly body?: 'json' | 'ndjson' | ((rows: readonly Row[], request: HttpRequestInfo) => string | Uint8Array) | undefined
  /** Or `gzip`, with `content-encoding`. @default 'none' */
  readonly compression?: 'none' | 'gzip' | undefined
  /** The most rows of one request. @default 500 */
  readonly maxRowsPerRequest?: number | undefined
  /** The most bytes of one body, before compression, and so of one row. @default 1 MiB */
  readonly maxBytesPerRequest?: number | undefined
  /** `none` where the endpoint does not mind in which order rows of a partition come: a task then has several requests on their way. @default 'partition' */
  readonly ordering?: 'partition' | 'none' | undefined
  /** Requests of a task on their way at a time. @default 1, or 4 with `ordering: 'none'` */
  readonly concurrency?: number | undefined
  /** How long a request may take until the end of its answer, ms. @default 30_000 */
  readonly timeoutMs?: number | undefined
  /** How often a request is tried before its task starts anew. @default 5 */
  readonly attempts?: number | undefined
  /** The endpoint does nothing a second time for a key that it has had: the output is then `idempotent`, and a 409 means that the first is under way. @default false */
  readonly honoursKeys?: boolean | undefined
  /** The header that carries the key of a request. @default 'idempotency-key' */
  readonly keyHeader?: string | undefined
  /** Failures in a row, over all requests of the process, after which the endpoint is taken to be away. @default 5 */
  readonly breakAfter?: number | undefined
  /** The longest pause until one request asks an endpoint that is away whether it is back, ms; the first ones are shorter. @default 5_000 */
  readonly probeEveryMs?: number | undefined
  /** Certificates: `{ ca, cert, key, passphrase, servername }`, as PEM. @default Node's own authorities */
  readonly tls?: HttpTls | undefined
}

/** Headers that say what a request is: another value would break it, or its promise. */
const OURS = new Set(['host', 'content-length', 'content-encoding', 'transfer-encoding', 'connection', 'expect', 'upgrade', 'trailer'])

/** What is wrong with headers, in words that hold no value; undefined where nothing is. */
export function findBadHeader(headers: unknown, keyHeader: string): string | undefined {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return 'they must be an object of names and texts'
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (OURS.has(lower) || lower === keyHeader.toLowerCase()) return `${name} is set by the output itself`
    if (typeof value !== 'string') return `the value of ${name} is no text`
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      return `${JSON.stringify(name)} cannot be a header, or its value has characters that none may have`
    }
  }
  return undefined
}

const whole = (least: number, unit: string) => z.int({ error: `expected a whole number of ${unit} from ${least}` }).min(least)
const isFunction = (value: unknown) => typeof value === 'function'

const URL_FORM = 'expected a URL, https://… or http://…'
const url = z
  .string({ error: ({ input }) => (input === undefined ? `${URL_FORM}; is its variable set?` : URL_FORM) })
  .refine(text => URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol) && new URL(text).hash === '', {
    error: `${URL_FORM}, without a #fragment`,
  })

export const httpSinkOptions = z
  .strictObject({
    url,
    name: z.string().min(1).optional(),
    method: z.enum(['POST', 'PUT', 'PATCH']).default('POST'),
    headers: z
      .custom<HttpHeaders | Extract<HttpSinkOptions['headers'], (...args: never) => unknown>>(
        value => isFunction(value) || (typeof value === 'object' && value !== null && !Array.isArray(value)),
        { error: 'expected an object of names and texts, or a function that gives one' },
      )
      .default({}),
    body: z
      .custom<'json' | 'ndjson' | ((rows: readonly never[], request: HttpRequestInfo) => string | Uint8Array)>(
        value => value === 'json' || value === 'ndjson' || isFunction(value),
        { error: `expected 'json', 'ndjson' or a function of the rows that gives text or bytes` },
      )
      .default('json'),
    compression: z.enum(['none', 'gzip']).default('none'),
    maxRowsPerRequest: whole(1, 'rows').default(500),
    maxBytesPerRequest: whole(1, 'bytes').default(1024 * 1024),
    ordering: z.enum(['partition', 'none']).default('partition'),
    concurrency: whole(1, 'requests').optional(),
    timeoutMs: whole(1, 'milliseconds').default(30_000),
    attempts: whole(1, 'attempts').default(5),
    honoursKeys: z.boolean().default(false),
    keyHeader: z.string().default('idempotency-key'),
    breakAfter: whole(1, 'failures').default(5),
    probeEveryMs: whole(1, 'milliseconds').default(5_000),
    tls: tlsOptions.optional(),
  })
  .superRefine(({ headers, keyHeader, ordering, concurrency = 1, tls, url }, context) => {
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const bad = isFunction(headers) ? undefined : findBadHeader(headers, keyHeader)
    if (bad !== undefined) wrong('headers', `expected headers that can be sent: ${bad}`)
    if (OURS.has(keyHeader.toLowerCase()) || findBadHeader({ [keyHeader]: 'key' }, '') !== undefined)
      wrong('keyHeader', 'expected the name of a header that is free, such as idempotency-key')
    if (ordering === 'partition' && concurrency > 1)
      wrong('concurrency', `expected 1, or ordering: 'none': requests that are on their way together arrive in any order`)
    if (tls !== undefined && url.startsWith('http:')) wrong('tls', 'expected nothing, for an http: URL has no certificates')
    if ((tls?.cert === undefined) !== (tls?.key === undefined)) wrong('tls', 'expected cert and key together')
  })
  .transform(options => ({ ...options, concurrency: options.concurrency ?? (options.ordering === 'none' ? 4 : 1) }))

/** Checked and complete. */
export type CompleteHttpOptions = z.output<typeof httpSinkOptions>
