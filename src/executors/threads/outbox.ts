import type { MessagePort } from 'node:worker_threads'
import type { WireError } from '../../core/error-wire.ts'
import type { WireResult } from '../../core/task-wire.ts'
import type { FromWorker, LogCall } from './messages.ts'
import { PlainResults } from './plain-results.ts'

/** What a worker has to say, sent once a turn of its event loop: a message a task costs more than a small task. */
export class Outbox {
  readonly #port: MessagePort
  readonly #plain = new PlainResults()
  #results: [number, readonly WireResult[]][] = []
  #errors: [number, WireError][] = []
  #logs: LogCall[] = []
  #isDue = false

  constructor(port: MessagePort) {
    this.#port = port
  }

  addResults(id: number, results: readonly WireResult[]): void {
    if (!this.#plain.add(id, results)) this.#results.push([id, results])
    this.#sendSoon()
  }

  addError(id: number, error: WireError): void {
    this.#errors.push([id, error])
    this.#sendSoon()
  }

  addLog(call: LogCall): void {
    this.#logs.push(call)
    this.#sendSoon()
  }

  /** Sends what is there, and `more`, at once. */
  send(more: FromWorker = {}): void {
    const plain = this.#plain.take()
    const results = this.#results
    const errors = this.#errors
    const logs = this.#logs
    this.#results = []
    this.#errors = []
    this.#logs = []
    this.#isDue = false
    const message: FromWorker = {
      ...more,
      ...(logs.length > 0 && { logs }),
      ...(plain !== undefined && { plain }),
      ...(results.length > 0 && { results }),
      ...(errors.length > 0 && { errors }),
    }
    if (Object.keys(message).length > 0) this.#port.postMessage(message)
  }

  #sendSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => this.#isDue && this.send())
  }
}
