import { deserialize, serialize } from 'node:v8'
import { ConfigError, errorMessage, UnsupportedError } from './errors.ts'

/**
 * Rows that an output gathers on the driver, as bytes: the structured clone that threads use, which keeps dates, maps, big integers and bytes. Class
 * instances become plain objects, and a record of Kafka an object of its seven fields.
 *
 * Throws `ConfigError` for rows that hold functions or the like.
 */
export function rowsToWire(rows: readonly unknown[], output: string): Uint8Array {
  try {
    return serialize(rows.map(row => plainRow(row, 0)))
  } catch (error) {
    throw new ConfigError(
      `Output ${output} gathers its rows on the driver, and one of them cannot go there from another thread or machine: ${errorMessage(error).replace(/\.$/, '')}. ` +
        'Give it plain data (a map in front of it), or run the job with inProcess().',
      { details: { output }, cause: error },
    )
  }
}

/** The rows again. Throws `UnsupportedError` for bytes that this version of Node does not read. */
export function rowsFromWire(bytes: Uint8Array): readonly unknown[] {
  try {
    return deserialize(bytes)
  } catch (error) {
    throw new UnsupportedError(
      `Rows that an executor gathered cannot be read by Node ${process.versions.node}: ${errorMessage(error)} Run the same version of Node on both.`,
      { cause: error },
    )
  }
}

/** How deep rows are searched for records and views. */
const MAX_DEPTH = 6

/** The same value where it goes over as it is. */
function plainRow(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  // A view keeps its whole fetch alive, and would take all of it along.
  if (ArrayBuffer.isView(value)) return Buffer.isBuffer(value) ? Buffer.from(value) : value
  if (Array.isArray(value)) return mapChanged(value, item => plainRow(item, depth + 1))
  if (value instanceof Map) return changedEntries([...value], depth, entries => new Map(entries)) ?? value
  if (value instanceof Set) {
    const items = [...value]
    const changed = mapChanged(items, item => plainRow(item, depth + 1))
    return changed === items ? value : new Set(changed)
  }
  if (value instanceof Date || value instanceof RegExp || value instanceof Error) return value
  const isPlain = Object.getPrototypeOf(value) === Object.prototype
  const { toJSON } = value as { toJSON?: unknown }
  if (!isPlain && typeof toJSON === 'function') return plainRow(toJSON.call(value), depth + 1)
  return changedEntries(Object.entries(value), depth, entries => Object.fromEntries(entries)) ?? value
}

/** What `make` gives of the entries with their values made plain; undefined where nothing changed. */
function changedEntries<K>(
  entries: (readonly [K, unknown])[],
  depth: number,
  make: (entries: (readonly [K, unknown])[]) => unknown,
): unknown {
  const changed = mapChanged(entries, entry => {
    const plain = plainRow(entry[1], depth + 1)
    return plain === entry[1] ? entry : ([entry[0], plain] as const)
  })
  return changed === entries ? undefined : make(changed as (readonly [K, unknown])[])
}

/** The same array where nothing changed. */
function mapChanged<T>(items: readonly T[], map: (item: T) => unknown): readonly unknown[] {
  let changed: unknown[] | undefined
  for (const [at, item] of items.entries()) {
    const mapped = map(item)
    if (mapped !== item && changed === undefined) changed = items.slice(0, at)
    changed?.push(mapped)
  }
  return changed ?? items
}
