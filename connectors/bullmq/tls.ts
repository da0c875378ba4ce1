import type { z } from 'zod'
import type { RedisTls } from '../../src/util/redis-line.ts'
import { tlsOptions } from '../../src/util/tls-options.ts'

/** The option beside a `url`. */
export const tlsOption = { tls: tlsOptions.optional() }

/** Certificates that would be used by nothing, and one without its key, are mistakes. */
export function checkTls({ url, tls }: { readonly url: string; readonly tls?: RedisTls | undefined }, context: z.RefinementCtx): void {
  const wrong = (message: string) => context.addIssue({ code: 'custom', path: ['tls'], message })
  if (tls !== undefined && !url.startsWith('rediss:')) wrong('expected nothing, for a redis: URL has no certificates: write rediss:')
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) wrong('expected cert and key together')
}
