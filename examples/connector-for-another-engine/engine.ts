// Somebody else's engine: it knows tasks, stages and a clock, and nothing of Kafka or offsets.
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

export class Engine {
  readonly #concurrency: number

  constructor({ concurrency }: { readonly concurrency: number }) {
    this.#concurrency = concurrency
  }

  /** Runs one task for each item, some at a time; results come in the order of the items. */
  stage<In, Out>(items: readonly In[], task: (item: In) => Promise<Out>): Promise<Out[]> {
    return Readable.from(items)
      .map((item: In) => task(item), { concurrency: this.#concurrency })
      .toArray()
  }

  /** Brings together what has the same key: behind it nobody can tell which item came from which task. */
  shuffle<Item>(parts: readonly (readonly Item[])[], keyOf: (item: Item) => string): Map<string, Item[]> {
    return Map.groupBy(parts.flat(), keyOf)
  }

  /** Calls a job every so often, one call at a time, until it says that there is nothing more to do. */
  async schedule(everyMs: number, job: () => Promise<'again' | 'enough'>): Promise<void> {
    while ((await job()) === 'again') await delay(everyMs)
  }
}
