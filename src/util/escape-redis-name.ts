/** A name as part of a key in Redis: without the braces that a Cluster hashes by, and without the colon that parts names. */
export function escapeRedisName(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('{', '%7B').replaceAll('}', '%7D').replaceAll(':', '%3A')
}
