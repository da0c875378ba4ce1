import type { Api } from '../../protocol/api.ts'
import { decodeBody, encodeBody } from '../../protocol/message.ts'

/** What a topic is configured with, defaults of the cluster included. */
const DESCRIBE_CONFIGS: Api = { name: 'DescribeConfigs', apiKey: 32, minVersion: 1, maxVersion: 2, firstFlexibleVersion: 4 }

const TOPIC = 2

export type DescribeConfigsRequest = { readonly topic: string; readonly names: readonly string[] }
export type DescribeConfigsResponse = {
  readonly throttleTimeMs: number
  readonly results: readonly {
    readonly errorCode: number
    readonly errorMessage: string | null
    readonly config: ReadonlyMap<string, string | null>
  }[]
}

function encodeDescribeConfigsRequest(version: number, { topic, names }: DescribeConfigsRequest): Buffer {
  return encodeBody(DESCRIBE_CONFIGS, version, writer => {
    writer.array([topic], name => {
      writer.int8(TOPIC).string(name)
      writer.array(names, entry => writer.string(entry))
    })
    // No synonyms.
    writer.boolean(false)
  })
}

function decodeDescribeConfigsResponse(version: number, body: Buffer): DescribeConfigsResponse {
  return decodeBody(DESCRIBE_CONFIGS, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const results = reader.array(() => {
      const [errorCode, errorMessage] = [reader.int16(), reader.nullableString()]
      reader.int8()
      reader.string()
      const entries = reader.array((): [string, string | null] => {
        const entry: [string, string | null] = [reader.string(), reader.nullableString()]
        // Read-only, where it comes from, whether it is a secret, synonyms.
        reader.boolean()
        reader.int8()
        reader.boolean()
        reader.array(() => [reader.string(), reader.nullableString(), reader.int8()])
        return entry
      })
      return { errorCode, errorMessage, config: new Map(entries) }
    })
    return { throttleTimeMs, results }
  })
}

/** The request with its codec. */
export const DESCRIBE_CONFIGS_CALL = {
  api: DESCRIBE_CONFIGS,
  floor: 1,
  encode: encodeDescribeConfigsRequest,
  decode: decodeDescribeConfigsResponse,
}
