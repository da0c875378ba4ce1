import { decodeFetchResponse, encodeFetchRequest, FETCH } from '../protocol/fetch.ts'
import { decodeFindCoordinatorResponse, encodeFindCoordinatorRequest, FIND_COORDINATOR } from '../protocol/find-coordinator.ts'
import { decodeListOffsetsResponse, encodeListOffsetsRequest, LIST_OFFSETS } from '../protocol/list-offsets.ts'
import { decodeMetadataResponse, encodeMetadataRequest, METADATA } from '../protocol/metadata.ts'
import { decodeOffsetCommitResponse, encodeOffsetCommitRequest, OFFSET_COMMIT } from '../protocol/offset-commit.ts'
import { decodeOffsetFetchResponse, encodeOffsetFetchRequest, OFFSET_FETCH } from '../protocol/offset-fetch.ts'
import {
  decodeOffsetForLeaderEpochResponse,
  encodeOffsetForLeaderEpochRequest,
  OFFSET_FOR_LEADER_EPOCH,
} from '../protocol/offset-for-leader-epoch.ts'

/** The requests of the read path, each with the oldest version that is of use: Kafka 2.1 has them all. */
export const METADATA_CALL = { api: METADATA, floor: 7, encode: encodeMetadataRequest, decode: decodeMetadataResponse }
export const LIST_OFFSETS_CALL = { api: LIST_OFFSETS, floor: 4, encode: encodeListOffsetsRequest, decode: decodeListOffsetsResponse }
/** Below 10 a broker refuses to send zstd. */
export const FETCH_CALL = { api: FETCH, floor: 10, encode: encodeFetchRequest, decode: decodeFetchResponse }
export const LEADER_EPOCH_CALL = {
  api: OFFSET_FOR_LEADER_EPOCH,
  floor: 2,
  encode: encodeOffsetForLeaderEpochRequest,
  decode: decodeOffsetForLeaderEpochResponse,
}
/** What a consumer group has committed, read and written, and the broker that knows. */
export const FIND_COORDINATOR_CALL = {
  api: FIND_COORDINATOR,
  floor: 1,
  encode: encodeFindCoordinatorRequest,
  decode: decodeFindCoordinatorResponse,
}
export const OFFSET_COMMIT_CALL = { api: OFFSET_COMMIT, floor: 6, encode: encodeOffsetCommitRequest, decode: decodeOffsetCommitResponse }
export const OFFSET_FETCH_CALL = { api: OFFSET_FETCH, floor: 5, encode: encodeOffsetFetchRequest, decode: decodeOffsetFetchResponse }

/** How long a broker may take to answer anything that it need not wait for, ms. */
export const REQUEST_TIMEOUT_MS = 30_000
