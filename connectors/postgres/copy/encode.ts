import type { CopyBuffer } from './copy-buffer.ts'

/** Writes the length and the bytes of a value that is there. Throws `WrongValue` for one that the type cannot take. */
export type Encode = (out: CopyBuffer, value: unknown) => void
