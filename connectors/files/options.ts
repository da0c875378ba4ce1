import { z } from 'zod'

/** What `jsonlSink` takes. */
export type JsonlSinkOptions = {
  /** Where the files go; made if it is not there. One output of one stream has it for itself. */
  readonly directory: string | undefined
}

export const jsonlSinkOptions = z.strictObject({
  directory: z.string().min(1).describe('the path of the folder to write to, such as "out/orders"'),
})
