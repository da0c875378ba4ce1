/** One of Kafka's request types, and the versions of it that are spoken here. Each is used at the highest version both sides know. */
export type Api = {
  readonly name: string
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
  /** From here on strings and arrays are compact and everything ends in tagged fields (KIP-482). */
  readonly firstFlexibleVersion: number
}

/** Whether a version of an API is flexible: compact fields, tags, and the longer headers. */
export function isFlexible(api: Api, version: number): boolean {
  return version >= api.firstFlexibleVersion
}
