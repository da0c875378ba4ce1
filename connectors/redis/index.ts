export type { RedisHash, RedisSinkOptions, RedisSortedSet, RedisStream, RedisString } from './options.ts'
export { redisSink } from './redis-sink.ts'
