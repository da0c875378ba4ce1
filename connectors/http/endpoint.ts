import { createHash } from 'node:crypto'

/** An endpoint as it may be shown. A URL's path and query are often a secret in themselves (webhooks), so nothing but the host is. */
export type Endpoint = {
  readonly url: URL
  /** Such as `https://api.example.com:8443`. */
  readonly shown: string
  /** As driver and executors compare it: what cannot be shown is told apart by a hash. */
  readonly target: string
}

export function describeEndpoint(text: string): Endpoint {
  const url = new URL(text)
  const hash = createHash('sha256')
    .update(JSON.stringify([url.pathname, url.search]))
    .digest('hex')
    .slice(0, 12)
  return { url, shown: url.origin, target: `${url.origin}, path ${hash}` }
}

/** Shorter ones are words that stand everywhere. */
const SHORTEST_SECRET = 6

/**
 * Takes secrets out of texts that an endpoint sent: it may say again what it was sent. Values of headers, and of a `Bearer …` the token, user and password, path
 * and query of the URL.
 */
export function redactor(
  { username, password, pathname, search }: URL,
  headers: Readonly<Record<string, string>>,
): (text: string) => string {
  const given = [
    ...Object.values(headers),
    ...Object.values(headers).flatMap(value => value.split(/\s+/)),
    decode(username),
    decode(password),
  ]
  const path = pathname.split('/').flatMap(part => [part, decode(part)])
  const secrets = [...given, ...path, search.slice(1), ...new URLSearchParams(search).values()]
    .filter(text => text.length >= SHORTEST_SECRET)
    .sort((a, b) => b.length - a.length)
  return text => secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
