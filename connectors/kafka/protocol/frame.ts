import { type Api, isFlexible } from './api.ts'
import { API_VERSIONS } from './api-versions.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** What a request carries beside its body. */
export type RequestFrame = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly body: Buffer
  /** Whether the version is flexible: its header has tags. */
  readonly flexible: boolean
}

/** A whole request as it goes over the wire: size, header v1 (v2 where flexible), body. */
export function encodeRequestFrame(request: RequestFrame): Buffer {
  // The client id is no compact string, not even in header v2.
  const header = new Writer(false).int16(request.apiKey).int16(request.apiVersion).int32(request.correlationId)
  header.nullableString(request.clientId)
  if (request.flexible) header.uvarint(0)
  const headerBytes = header.finish()
  const frame = Buffer.allocUnsafe(4 + headerBytes.length + request.body.length)
  frame.writeInt32BE(frame.length - 4, 0)
  frame.set(headerBytes, 4)
  frame.set(request.body, 4 + headerBytes.length)
  return frame
}

/** Takes a response apart; `frame` is what follows the 4 bytes of its size, and the body a view of it. */
export function decodeResponseFrame(api: Api, version: number, frame: Buffer): { readonly correlationId: number; readonly body: Buffer } {
  const reader = new Reader(frame, false, `${api.name} v${version} response`)
  const correlationId = reader.int32()
  return { correlationId, body: skipResponseTags(api, version, reader.rest()) }
}

/**
 * The body of a response whose correlation id was read by somebody else, such as kafkajs: without the tags that end the header of a
 * flexible version. ApiVersions has none in any version, since whoever asks for it does not know yet what the broker speaks (KIP-511).
 */
export function skipResponseTags(api: Api, version: number, bytes: Buffer): Buffer {
  if (!isFlexible(api, version) || api.apiKey === API_VERSIONS.apiKey) return bytes
  const reader = new Reader(bytes, true, `${api.name} v${version} response`)
  reader.tags()
  return reader.rest()
}
