import type { TopicPartition } from '../../../src/core/values.ts'

/**
 * The executor that last read a partition, whose connections to its broker are warm. By topic, then by partition: a batch asks and tells ten thousand
 * times, and as many keys made of both would cost more than what is looked up by them.
 */
export class LastPlaces {
  readonly #byTopic = new Map<string, Map<number, string>>()

  get({ topic, partition }: TopicPartition): string | undefined {
    return this.#byTopic.get(topic)?.get(partition)
  }

  set({ topic, partition }: TopicPartition, executor: string): void {
    const places = this.#byTopic.get(topic)
    if (places === undefined) this.#byTopic.set(topic, new Map([[partition, executor]]))
    else places.set(partition, executor)
  }

  delete({ topic, partition }: TopicPartition): void {
    this.#byTopic.get(topic)?.delete(partition)
  }
}
