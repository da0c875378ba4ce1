import type { CopyBuffer } from './copy-buffer.ts'
import type { Encode } from './encode.ts'
import { WrongValue } from './wrong-value.ts'

/** The deepest that Postgres nests. */
const MAX_DIMENSIONS = 6

/**
 * Lists as arrays of Postgres (array_recv in arrayfuncs.c), nested ones as arrays of several dimensions, which must then be rectangular.
 * `isFlat` where a list inside the list is a value of the element type, as with JSON.
 */
export function arrayEncoder(elementOid: number, encode: Encode, { isFlat }: { readonly isFlat: boolean }): Encode {
  return (out, value) => {
    if (!Array.isArray(value)) throw new WrongValue('a list')
    const dimensions = isFlat ? [value.length] : measure(value)
    const elements = dimensions.length === 1 ? value : flatten(value, dimensions, 0, [])
    const start = out.at
    out.reserve(16 + 8 * dimensions.length)
    out.view.setInt32(start + 4, elements.length === 0 ? 0 : dimensions.length)
    out.view.setInt32(start + 8, elements.some(isMissing) ? 1 : 0)
    out.view.setUint32(start + 12, elementOid)
    out.at = start + 16
    if (elements.length > 0) {
      for (const dimension of dimensions) {
        out.view.setInt32(out.at, dimension)
        out.view.setInt32(out.at + 4, 1)
        out.at += 8
      }
      for (const element of elements) encodeElement(out, element, encode)
    }
    out.view.setInt32(start, out.at - start - 4)
  }
}

function encodeElement(out: CopyBuffer, element: unknown, encode: Encode): void {
  if (isMissing(element)) {
    out.reserve(4)
    out.view.setInt32(out.at, -1)
    out.at += 4
  } else {
    encode(out, element)
  }
}

function isMissing(value: unknown): boolean {
  return value === null || value === undefined
}

function measure(value: readonly unknown[]): number[] {
  const dimensions: number[] = []
  for (let inner: unknown = value; Array.isArray(inner); inner = inner[0]) dimensions.push(inner.length)
  if (dimensions.length > MAX_DIMENSIONS) throw new WrongValue(`lists nested at most ${MAX_DIMENSIONS} deep`)
  return dimensions
}

function flatten(value: unknown, dimensions: readonly number[], depth: number, into: unknown[]): unknown[] {
  if (depth === dimensions.length) {
    if (Array.isArray(value)) throw new WrongValue('lists of lists that are all of one length and one depth')
    into.push(value)
    return into
  }
  if (!Array.isArray(value) || value.length !== dimensions[depth]) {
    throw new WrongValue('lists of lists that are all of one length and one depth')
  }
  for (const inner of value) flatten(inner, dimensions, depth + 1, into)
  return into
}
