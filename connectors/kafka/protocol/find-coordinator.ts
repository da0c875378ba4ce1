import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'
import type { Reader } from './reader.ts'

/** Which broker keeps a group's offsets. */
export const FIND_COORDINATOR: Api = { name: 'FindCoordinator', apiKey: 10, minVersion: 1, maxVersion: 6, firstFlexibleVersion: 3 }

const GROUP = 0
/** From here on one request asks for several keys, and each has its own answer. */
const MANY_KEYS = 4

export type FindCoordinatorRequest = { readonly group: string }

export type Coordinator = {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
}
export type FindCoordinatorResponse = { readonly throttleTimeMs: number; readonly coordinators: readonly Coordinator[] }

export function encodeFindCoordinatorRequest(version: number, request: FindCoordinatorRequest): Buffer {
  return encodeBody(FIND_COORDINATOR, version, writer => {
    if (version < MANY_KEYS) writer.string(request.group)
    writer.int8(GROUP)
    if (version >= MANY_KEYS) writer.array([request.group], group => writer.string(group))
    writer.tags()
  })
}

/** One coordinator in every version: the one of the group that was asked for. */
export function decodeFindCoordinatorResponse(version: number, body: Buffer): FindCoordinatorResponse {
  return decodeBody(FIND_COORDINATOR, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const coordinators = version >= MANY_KEYS ? reader.array(() => readCoordinator(reader)) : [readSingleCoordinator(reader)]
    reader.tags()
    return { throttleTimeMs, coordinators }
  })
}

function readCoordinator(reader: Reader): Coordinator {
  reader.string()
  const place = { nodeId: reader.int32(), host: reader.string(), port: reader.int32() }
  const coordinator = { errorCode: reader.int16(), errorMessage: reader.nullableString(), ...place }
  reader.tags()
  return coordinator
}

function readSingleCoordinator(reader: Reader): Coordinator {
  return {
    errorCode: reader.int16(),
    errorMessage: reader.nullableString(),
    nodeId: reader.int32(),
    host: reader.string(),
    port: reader.int32(),
  }
}
