import type { ErrorCode, ErrorDetails } from '../../../src/core/errors.ts'

const METHODS = [
  'acquire',
  'renew',
  'release',
  'read',
  'begin',
  'commit',
  'reset',
  'streams',
  'snapshot',
  'restore',
  'retire',
  'remove',
] as const

/** The methods of a store that answer once; `history` is answered whole. */
export type StoreMethod = (typeof METHODS)[number]

/** One line from the client. */
export type Call = { readonly id: number; readonly method: StoreMethod | 'history'; readonly args: readonly unknown[] }

/** One line from the server. */
export type Answer = { readonly id: number } & (
  | { readonly result: unknown }
  | {
      readonly error: {
        readonly code: ErrorCode
        readonly message: string
        readonly details: ErrorDetails
        readonly retryable: boolean
      }
    }
)

export function isStoreMethod(name: string): name is StoreMethod {
  return METHODS.some(method => method === name)
}
