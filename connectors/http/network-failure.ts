import { errorMessage, isTidemarkError } from '../../src/core/errors.ts'

/** What OpenSSL and Node say of certificates, and of a server that speaks no TLS. */
const TLS_CODE = /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/
const NETWORK_CODE = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|EADDRNOTAVAIL|EAI_|ENOTFOUND|ENODATA|EMFILE|ENFILE|HPE_|UND_ERR_)/

/** The code of what the network, TLS or the parser of answers said, also where `fetch` has wrapped it; undefined for any other error. */
export function networkCode(error: unknown): string | undefined {
  for (const each of [error, error instanceof Error ? error.cause : undefined]) {
    const code = each instanceof Error && 'code' in each ? each.code : undefined
    if (typeof code === 'string' && !isTidemarkError(each) && (NETWORK_CODE.test(code) || TLS_CODE.test(code))) return code
  }
  return undefined
}

export function isTlsFailure(error: unknown): boolean {
  return TLS_CODE.test(networkCode(error) ?? '')
}

/** A failed request in a few words. */
export function describeFailure(error: unknown, bodyBytes: number): string {
  const code = networkCode(error)
  const text = describeNetwork(error)
  // A proxy that limits bodies often just hangs up.
  if (code === 'EPIPE' || code === 'ECONNRESET')
    return `${text} (it had ${bodyBytes} bytes to read; if it limits bodies, lower maxBytesPerRequest)`
  return text
}

/** What the system said, one line, also where one try for each address failed. */
export function describeNetwork(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(errorMessage))].join(', ')
  return errorMessage(error).split('\n', 1)[0] ?? ''
}
