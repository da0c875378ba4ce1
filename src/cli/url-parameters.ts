/** Takes parameters of ours out of a URL whose others are the client's, without writing the rest anew: a password must stay as it was given. */
export function takeParameters(
  url: string,
  names: readonly string[],
): { readonly rest: string; readonly taken: ReadonlyMap<string, string> } {
  const taken = new Map<string, string>()
  const [head = '', ...query] = url.split('?')
  const kept = query
    .join('?')
    .split('&')
    .filter(part => {
      const [name = '', value = ''] = part.split('=')
      if (!names.includes(name)) return part !== ''
      taken.set(name, decodeURIComponent(value))
      return false
    })
  return { rest: kept.length === 0 ? head : `${head}?${kept.join('&')}`, taken }
}

/** Only the host, the path and parameters of ours: a password may stand before the host, and also among the parameters. */
export function showUrl(kind: string, url: string, ours: ReadonlyMap<string, string>): string {
  const [head = '', ...query] = url.split('?')
  // A password with a question mark in it, not escaped: nobody can say where the host begins.
  if (query.some(part => part.includes('@'))) return `${kind}:`
  const place = head.slice(head.indexOf(':') + 1).replace(/^\/\//, '')
  const parameters = Array.from(ours, ([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `${kind}://${place.slice(place.lastIndexOf('@') + 1)}${parameters === '' ? '' : `?${parameters}`}`
}
