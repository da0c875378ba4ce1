import { ConflictError, UnsupportedError } from '../../src/core/errors.ts'

/**
 * Reads a small file that Tidemark saved, of format 1. Throws `ConflictError` for what it did not write, with what to do then, and `UnsupportedError` for
 * what a newer one wrote.
 */
export function parseSaved<T extends { readonly v: 1 }>(
  text: string,
  path: string,
  isWhole: (saved: Partial<T>) => boolean,
  advice: string,
): T {
  let saved: unknown
  try {
    saved = JSON.parse(text)
  } catch (error) {
    throw notOurs(path, advice, error)
  }
  if (typeof saved !== 'object' || saved === null) throw notOurs(path, advice)
  const { v } = saved as { v?: unknown }
  if (typeof v === 'number' && v !== 1) {
    throw new UnsupportedError(`${path} has version ${v}, and this Tidemark knows 1. Use the version that wrote it, or a newer one.`, {
      details: { path, version: v },
    })
  }
  if (v !== 1 || !isWhole(saved as Partial<T>)) throw notOurs(path, advice)
  return saved as T
}

function notOurs(path: string, advice: string, cause?: unknown): ConflictError {
  return new ConflictError(`${path} is not what Tidemark wrote. ${advice}`, { details: { path }, cause })
}
