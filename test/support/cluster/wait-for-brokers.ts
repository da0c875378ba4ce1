import { waitUntil } from '../services/wait-until.ts'
import { askMetadata } from './ask-metadata.ts'

/** Waits until every one of these brokers answers a request, and knows of `count` brokers. */
export async function waitForBrokers(
  addresses: readonly string[],
  count: number,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<void> {
  await waitUntil(
    `Kafka at ${addresses.join(', ')} answering with ${count} brokers`,
    async () => {
      const answers = await Promise.all(addresses.map(address => askMetadata(address)))
      return answers.every(answer => answer.brokerIds.length >= count)
    },
    options,
  )
}
