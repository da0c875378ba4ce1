import { UnsupportedError } from '../../../src/core/errors.ts'
import { type Api, isFlexible } from './api.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** Writes a request's body. Throws `UnsupportedError` for a version that is not spoken here. */
export function encodeBody(api: Api, version: number, write: (writer: Writer) => void): Buffer {
  checkVersion(api, version)
  const writer = new Writer(isFlexible(api, version))
  write(writer)
  return writer.finish()
}

/** Reads a response's body to its end. Throws `DecodeError` where it breaks off or goes on. */
export function decodeBody<T>(api: Api, version: number, body: Buffer, read: (reader: Reader) => T): T {
  checkVersion(api, version)
  const reader = new Reader(body, isFlexible(api, version), `${api.name} v${version} response`)
  const response = read(reader)
  reader.end()
  return response
}

function checkVersion(api: Api, version: number): void {
  if (version >= api.minVersion && version <= api.maxVersion) return
  throw new UnsupportedError(`${api.name} v${version} is not spoken here, only v${api.minVersion} to v${api.maxVersion}.`, {
    details: { api: api.name, version },
  })
}
