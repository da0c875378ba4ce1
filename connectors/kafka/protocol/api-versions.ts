import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'

/** Asks a broker which versions of which APIs it speaks. */
export const API_VERSIONS: Api = { name: 'ApiVersions', apiKey: 18, minVersion: 0, maxVersion: 4, firstFlexibleVersion: 3 }

const UNSUPPORTED_VERSION = 35

/** How the client calls itself, for the broker's metrics (KIP-511): letters, digits, `.` and `-`. */
export type ApiVersionsRequest = { readonly clientSoftwareName: string; readonly clientSoftwareVersion: string }

export type ApiVersionsResponse = {
  readonly errorCode: number
  readonly apiKeys: readonly { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[]
  readonly throttleTimeMs: number
}

export function encodeApiVersionsRequest(version: number, request: ApiVersionsRequest): Buffer {
  return encodeBody(API_VERSIONS, version, writer => {
    if (version >= 3) writer.string(request.clientSoftwareName).string(request.clientSoftwareVersion).tags()
  })
}

/** A broker that does not know the version says so (error 35) in the layout of version 0, with the versions it does know. */
export function decodeApiVersionsResponse(version: number, body: Buffer): ApiVersionsResponse {
  const isRefused = body.length >= 2 && body.readInt16BE(0) === UNSUPPORTED_VERSION
  const layout = isRefused ? 0 : version
  return decodeBody(API_VERSIONS, layout, body, reader => {
    const errorCode = reader.int16()
    const apiKeys = reader.array(() => {
      const api = { apiKey: reader.int16(), minVersion: reader.int16(), maxVersion: reader.int16() }
      reader.tags()
      return api
    })
    const throttleTimeMs = layout >= 1 ? reader.int32() : 0
    reader.tags()
    return { errorCode, apiKeys, throttleTimeMs }
  })
}
