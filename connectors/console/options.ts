import { z } from 'zod'

/** What `consoleSink` takes. */
export type ConsoleSinkOptions = {
  /** Takes whole lines; what it returns is awaited before more is given. @default stdout */
  readonly write?: ((lines: string) => unknown) | undefined
}

export const consoleSinkOptions = z.strictObject({
  write: z
    .custom<(lines: string) => unknown>(value => typeof value === 'function')
    .optional()
    .describe('a function that takes whole lines; leave it out for stdout'),
})
