import { FETCH_BY_TOPIC_ID, type FetchRequest, type FetchResponse } from '../protocol/fetch.ts'
import type { SendOptions } from '../transport/broker-connection.ts'
import type { BrokerClient } from './broker-client.ts'
import { FETCH_CALL } from './calls.ts'

/** Sends a fetch at the highest version that fits: by topic ids only where every topic of it has one. */
export function sendFetch(client: BrokerClient, request: FetchRequest, options: SendOptions): Promise<FetchResponse> {
  const hasIds = request.topics.every(({ topicId }) => topicId !== undefined)
  return client.call(FETCH_CALL, request, { ...options, ...(!hasIds && { maxVersion: FETCH_BY_TOPIC_ID - 1 }) })
}
