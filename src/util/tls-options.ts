import { z } from 'zod'

const pem = z.union([z.string().min(1), z.instanceof(Uint8Array)], { error: 'expected a certificate or key as PEM text or bytes' })

/** Certificates as options take them, for what Node's TLS is given. */
export const tlsOptions = z.strictObject({
  ca: z.union([pem, z.array(pem)], { error: 'expected certificates as PEM text or bytes' }).optional(),
  cert: pem.optional(),
  key: pem.optional(),
  passphrase: z.string().optional(),
  servername: z.string().min(1).optional(),
})
