import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Api } from '../../../../connectors/kafka/protocol/api.ts'
import { API_VERSIONS, decodeApiVersionsResponse, encodeApiVersionsRequest } from '../../../../connectors/kafka/protocol/api-versions.ts'
import { decodeFetchResponse, encodeFetchRequest, FETCH, type FetchRequest } from '../../../../connectors/kafka/protocol/fetch.ts'
import {
  decodeFindCoordinatorResponse,
  encodeFindCoordinatorRequest,
  FIND_COORDINATOR,
} from '../../../../connectors/kafka/protocol/find-coordinator.ts'
import { decodeListOffsetsResponse, encodeListOffsetsRequest, LIST_OFFSETS } from '../../../../connectors/kafka/protocol/list-offsets.ts'
import { decodeMetadataResponse, encodeMetadataRequest, METADATA } from '../../../../connectors/kafka/protocol/metadata.ts'
import { decodeOffsetFetchResponse, encodeOffsetFetchRequest, OFFSET_FETCH } from '../../../../connectors/kafka/protocol/offset-fetch.ts'
import {
  decodeOffsetForLeaderEpochResponse,
  encodeOffsetForLeaderEpochRequest,
  OFFSET_FOR_LEADER_EPOCH,
} from '../../../../connectors/kafka/protocol/offset-for-leader-epoch.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'

type JsonObject = { readonly [key: string]: unknown }
type Case = { api: string; kind: 'request' | 'response'; version: number; hex: string; json: JsonObject }
type Codec = { api: Api; encode(version: number, json: JsonObject): Buffer; decode(version: number, body: Buffer): object }

const asRequest = <T>(json: JsonObject): T => json as unknown as T

const CODECS: { readonly [api: string]: Codec } = {
  ApiVersions: {
    api: API_VERSIONS,
    encode: (version, json) =>
      encodeApiVersionsRequest(version, { clientSoftwareName: '', clientSoftwareVersion: '', ...(json as { [key: string]: string }) }),
    decode: decodeApiVersionsResponse,
  },
  Metadata: {
    api: METADATA,
    encode: (version, json) =>
      encodeMetadataRequest(version, { topics: (json.topics as { name: string }[] | null)?.map(topic => topic.name) ?? null }),
    decode: decodeMetadataResponse,
  },
  ListOffsets: {
    api: LIST_OFFSETS,
    encode: (version, json) => encodeListOffsetsRequest(version, asRequest({ timeoutMs: 0, ...json })),
    decode: decodeListOffsetsResponse,
  },
  Fetch: {
    api: FETCH,
    encode: (version, json) => encodeFetchRequest(version, asRequest<FetchRequest>({ rackId: '', ...json })),
    decode: decodeFetchResponse,
  },
  OffsetForLeaderEpoch: {
    api: OFFSET_FOR_LEADER_EPOCH,
    encode: (version, json) => encodeOffsetForLeaderEpochRequest(version, asRequest(json)),
    decode: decodeOffsetForLeaderEpochResponse,
  },
  FindCoordinator: {
    api: FIND_COORDINATOR,
    encode: (version, json) => encodeFindCoordinatorRequest(version, { group: String(json.key ?? (json.coordinatorKeys as string[])[0]) }),
    decode: (version, body) => {
      const response = decodeFindCoordinatorResponse(version, body)
      return version < 4 ? { ...response, ...response.coordinators[0] } : response
    },
  },
  OffsetFetch: {
    api: OFFSET_FETCH,
    encode: (version, json) => {
      const group = (version < 8 ? json : (json.groups as JsonObject[])[0]) as JsonObject
      return encodeOffsetFetchRequest(version, asRequest({ group: group.groupId, topics: group.topics, requireStable: json.requireStable }))
    },
    decode: (version, body) => {
      const response = decodeOffsetFetchResponse(version, body)
      return version < 8 ? response : { ...response, groups: [response] }
    },
  },
}

// Versions that the Java client wrote and that are not spoken here.
const NOT_SPOKEN: { readonly [api: string]: { readonly versions: readonly number[]; readonly why: string } } = {
  Metadata: { versions: [0, 1, 2, 3, 4, 5, 6], why: 'without leader epochs; every broker since 2.1 speaks 7' },
  ListOffsets: { versions: [1, 2, 3], why: 'without leader epochs; every broker since 2.1 speaks 4' },
  Fetch: { versions: [18], why: 'differs from 17 only for followers' },
}

// Fields of responses that nobody here needs.
const UNREAD = [
  'topicAuthorizedOperations',
  'clusterAuthorizedOperations',
  'key',
  'groupId',
  'supportedFeatures',
  'finalizedFeaturesEpoch',
  'finalizedFeatures',
]

// The Java client's cases hold the offset 2^53 + 1 to catch readers that round it. Round trips are made with the largest that is allowed.
const TOO_LARGE = { json: '9007199254740993', hex: '0020000000000001' }
const LARGEST = { json: '9007199254740991', hex: '001fffffffffffff' }

const texts = ['messages', 'messages-more'].map(name => readFileSync(new URL(`../../../fixtures/${name}.json`, import.meta.url), 'utf8'))
const parse = (text: string): Case[] => (JSON.parse(text) as { cases: Case[] }).cases
const original = texts.flatMap(parse)
const cases = texts.flatMap(text => parse(text.replaceAll(TOO_LARGE.json, LARGEST.json).replaceAll(TOO_LARGE.hex, LARGEST.hex)))
const isSpoken = ({ api, version }: Case) => !(NOT_SPOKEN[api]?.versions.includes(version) ?? false)
const spoken = cases.filter(isSpoken)

function codecOf(name: string): Codec {
  const codec = CODECS[name]
  if (codec === undefined) throw new Error(`no codec for ${name}`)
  return codec
}

/** Compares what was decoded with the official client's JSON, field by field of the latter. */
function expectToHold(actual: unknown, expected: unknown, path: string): void {
  if (Array.isArray(expected)) {
    expect(actual, path).toHaveLength(expected.length)
    expected.forEach((item, i) => {
      expectToHold((actual as unknown[])[i], item, `${path}[${i}]`)
    })
  } else if (typeof expected === 'object' && expected !== null) {
    for (const [key, value] of Object.entries(expected)) {
      const field = (actual as JsonObject)[key]
      if (UNREAD.includes(key)) continue
      if (key === 'recordsSizeInBytes') expect((actual as { records: Buffer }).records, path).toHaveLength(value as number)
      else if (key === 'records') expect(field, `${path}.records`).toHaveLength(0)
      else expectToHold(field, value, `${path}.${key}`)
    }
  } else expect(actual, path).toEqual(expected)
}

describe(`messages written by the official Java client, ${spoken.length} of ${cases.length}`, () => {
  test('cover every version that is spoken here', () => {
    expect(original.length).toBeGreaterThanOrEqual(84 + 39)
    const uncovered: string[] = []
    for (const { api } of Object.values(CODECS)) {
      for (let version = api.minVersion; version <= api.maxVersion; version++) {
        for (const kind of ['request', 'response']) {
          if (!spoken.some(c => c.api === api.name && c.version === version && c.kind === kind))
            uncovered.push(`${api.name} ${version} ${kind}`)
        }
      }
    }
    // Version 11 has the layout of 10; it only allows one more special timestamp (KIP-1023), and came after the client that wrote the
    // cases.
    expect(uncovered).toEqual(['ListOffsets 11 request', 'ListOffsets 11 response'])
  })

  test.each(spoken.filter(c => c.kind === 'request'))('$api v$version: the request has the same bytes', ({ api, version, hex, json }) => {
    expect(codecOf(api).encode(version, json).toString('hex')).toBe(hex)
  })

  test.each(spoken.filter(c => c.kind === 'response'))(
    '$api v$version: the response has the same values',
    ({ api, version, hex, json }) => {
      expectToHold(codecOf(api).decode(version, Buffer.from(hex, 'hex')), json, api)
    },
  )

  test('a version that is not spoken is refused by name', () => {
    for (const { api, version, hex } of cases.filter(c => !isSpoken(c) && c.kind === 'response')) {
      expect(() => codecOf(api).decode(version, Buffer.from(hex, 'hex'))).toThrow(`${api} v${version} is not spoken here`)
    }
  })

  test('an offset beyond 2^53 - 1 is an error and never a rounded number, read or sent', () => {
    const large = original.filter(c => isSpoken(c) && c.hex.includes(TOO_LARGE.hex))
    expect(large.length).toBeGreaterThan(20)
    for (const { api, kind, version, hex, json } of large) {
      const codec = codecOf(api)
      if (kind === 'request') expect(() => codec.encode(version, json), `${api} ${version}`).toThrow('cannot be sent')
      else expect(() => codec.decode(version, Buffer.from(hex, 'hex')), `${api} ${version}`).toThrow('9007199254740993 is beyond 2^53 - 1')
    }
  })

  test('a response cut off anywhere, or with bytes after its end, is an error that names it', () => {
    for (const { api, version, hex } of spoken.filter(c => c.kind === 'response')) {
      const bytes = Buffer.from(hex, 'hex')
      for (const broken of [...Array.from(bytes, (_, i) => bytes.subarray(0, i)), Buffer.concat([bytes, Buffer.from([0])])]) {
        let error: unknown
        try {
          codecOf(api).decode(version, broken)
        } catch (thrown) {
          error = thrown
        }
        expect(isTidemarkError(error, 'DECODE'), `${api} v${version}, ${broken.length} of ${bytes.length} bytes: ${error}`).toBe(true)
        expect(String(error)).toContain(`${api} v`)
      }
    }
  })
})
