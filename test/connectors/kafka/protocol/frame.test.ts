import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isFlexible } from '../../../../connectors/kafka/protocol/api.ts'
import { API_VERSIONS, decodeApiVersionsResponse } from '../../../../connectors/kafka/protocol/api-versions.ts'
import { decodeResponseFrame, encodeRequestFrame, skipResponseTags } from '../../../../connectors/kafka/protocol/frame.ts'
import { decodeMetadataResponse, encodeMetadataRequest, METADATA } from '../../../../connectors/kafka/protocol/metadata.ts'

type Frame = { version: number; request: string; response: string }
const { frames } = JSON.parse(readFileSync(new URL('../../../fixtures/messages-more.json', import.meta.url), 'utf8')) as { frames: Frame[] }

test.each(frames)(
  'Metadata v$version: a whole request and a whole response are as in the Java client',
  ({ version, request, response }) => {
    const frame = encodeRequestFrame({
      apiKey: METADATA.apiKey,
      apiVersion: version,
      correlationId: 77,
      clientId: 'tidemark',
      body: encodeMetadataRequest(version, { topics: null }),
      flexible: isFlexible(METADATA, version),
    })
    expect(frame.readInt32BE(0)).toBe(frame.length - 4)
    expect(frame.subarray(4).toString('hex')).toBe(request)

    const { correlationId, body } = decodeResponseFrame(METADATA, version, Buffer.from(response, 'hex'))
    expect(correlationId).toBe(77)
    expect(decodeMetadataResponse(version, body).clusterId).toBe('c')
  },
)

test('tags that end a response header are skipped, known or not', () => {
  expect(skipResponseTags(METADATA, 12, Buffer.from('01050299aabb', 'hex')).toString('hex')).toBe('bb')
  expect(skipResponseTags(METADATA, 8, Buffer.from('01aabb', 'hex')).toString('hex')).toBe('01aabb')
})

test('the header of an ApiVersions response has no tags in any version', () => {
  expect(skipResponseTags(API_VERSIONS, 4, Buffer.from('0000', 'hex')).toString('hex')).toBe('0000')
})

test('a broker that refuses the version of ApiVersions tells the ones it knows in the oldest layout', () => {
  const response = decodeApiVersionsResponse(4, Buffer.from('002300000001001200000002', 'hex'))
  expect(response).toEqual({ errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 2 }], throttleTimeMs: 0 })
})
