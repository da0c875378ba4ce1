import { z } from 'zod'

const pem = z.union([z.string().min(1), z.instanceof(Uint8Array)], { error: 'expected a certificate or key as PEM text or bytes' })

/** Certificates of a server that is reached over TLS, as PEM. */
export type TlsOptions = {
  /** Authorities to trust in place of Node's own. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** The client's certificate, where the server asks for one. */
  readonly cert?: string | Uint8Array | undefined
  /** The key of `cert`. */
  readonly key?: string | Uint8Array | undefined
  /** Of `key`, where it is encrypted. */
  readonly passphrase?: string | undefined
  /** The name that the server's certificate is for, where it is not the URL's. */
  readonly servername?: string | undefined
}

/** {@link TlsOptions}, checked. */
export const tlsOptions = z.strictObject({
  ca: z.union([pem, z.array(pem)], { error: 'expected certificates as PEM text or bytes' }).optional(),
  cert: pem.optional(),
  key: pem.optional(),
  passphrase: z.string().optional(),
  servername: z.string().min(1).optional(),
})
