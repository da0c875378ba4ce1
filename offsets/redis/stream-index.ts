import type { CallOptions } from '../../src/core/source.ts'
import { indexKey, streamKeys } from './keys.ts'
import type { RedisConnection } from './redis-connection.ts'

const SIDE_BY_SIDE = 200
const SEPARATOR = ':'

/**
 * Which streams there are. On a cluster the set of names and a stream's keys lie on different nodes, so no step writes both; and a crash may come
 * between any two steps. So the set says who *may* be there, and the streams themselves say who is:
 *
 * - A member is `<birth>:<name>`, of one making of a stream and no other. It is added before that stream is made, and taken out after it was removed.
 * - `list` asks each member's stream whether it is there, of that birth.
 *
 * So every stream that exists is listed, and after a crash in between a member is left that is not. With bare names as members, a stream that is made
 * again while its removal goes on would lose its name to that removal, and be there unseen.
 */
export class StreamIndex {
  readonly #connection: RedisConnection
  readonly #prefix: string

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  /** Before a stream is made. */
  async add(stream: string, birth: string, options: CallOptions): Promise<void> {
    await this.#connection.call('sadd', [indexKey(this.#prefix), birth + SEPARATOR + stream], options)
  }

  /** After a stream was removed, or when another was made in its place. */
  async remove(stream: string, birth: string, options: CallOptions): Promise<void> {
    await this.#connection.call('srem', [indexKey(this.#prefix), birth + SEPARATOR + stream], options)
  }

  /** The names of all streams, sorted. */
  async list(options: CallOptions): Promise<string[]> {
    const members = await this.#connection.call('smembers', [indexKey(this.#prefix)], options)
    const waiting = (Array.isArray(members) ? members : []).map(String)
    const names: string[] = []
    while (waiting.length > 0) {
      const found = await Promise.all(waiting.splice(0, SIDE_BY_SIDE).map(member => this.#find(member, options)))
      names.push(...found.filter(name => name !== undefined))
    }
    return names.sort()
  }

  async #find(member: string, options: CallOptions): Promise<string | undefined> {
    const at = member.indexOf(SEPARATOR)
    const [birth, stream] = [member.slice(0, at), member.slice(at + 1)]
    const found = await this.#connection.call('hget', [streamKeys(this.#prefix, stream).head, 'birth'], options)
    return found === birth ? stream : undefined
  }
}
