import type { Clock } from '../core/clock.ts'
import { errorMessage } from '../core/errors.ts'
import type { Listener, StreamEvent } from '../core/events.ts'
import type { Log } from '../core/log.ts'

/** An event without what the bus fills in. A distributive Omit, so that the union stays one. */
export type NewEvent = StreamEvent extends infer Event ? (Event extends StreamEvent ? Omit<Event, 'stream' | 'time'> : never) : never

/** Tells listeners what happens. A listener that throws is logged and told of the next event like the others: it watches, it never decides. */
export class EventBus {
  readonly #stream: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #listeners: readonly Listener[]

  constructor(stream: string, clock: Clock, log: Log, listeners: readonly Listener[]) {
    this.#stream = stream
    this.#clock = clock
    this.#log = log
    this.#listeners = listeners
  }

  emit(event: NewEvent): void {
    const complete = { ...event, stream: this.#stream, time: this.#clock.now() } as StreamEvent
    for (const listener of this.#listeners) {
      try {
        listener(complete)
      } catch (error) {
        this.#log.error(
          { stream: this.#stream, event: event.type, err: error },
          `a listener failed on ${event.type}: ${errorMessage(error)}`,
        )
      }
    }
  }
}
