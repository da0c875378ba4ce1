const SECRET_NAME =
  /pass(word|wd|phrase)?$|^pwd$|secret|token|credential|sasl|connection_?string|api_?key|private_?key|access_?key|^auth(orization)?$|^pfx$/i
/** Also where the URL is not quite one, which is when it is shown: a colon forgotten, a password that was not escaped. */
const CREDENTIALS_IN_URL =
  /^[a-z][a-z0-9+.-]*:?\/\/.*@|^[^\s/?#@:]*:[^\s@]*@|[?&;\s](pass(word|wd)?|secret|token|sasl[a-z_.]*)=|^pass(word|wd)?=/i
const LONGEST_SHOWN = 80

/** Whether an option of this name, or any inside it, can hold a secret, so that its value must not reach a message or a log. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/**
 * A value the way messages show it: short, on one line, and never the inside of an object, which may hold a secret.
 * What is at a secret `name`, and text that carries credentials, is named by its kind only; that it is missing or empty is always said.
 */
export function showValue(value: unknown, options: { secret?: boolean } = {}): string {
  if (value === undefined || value === null) return String(value)
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'function') return 'a function'
  if (options.secret) return `a ${typeof value} that is not shown`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'string') return String(value)
  if (CREDENTIALS_IN_URL.test(value)) return 'a string with credentials that is not shown'
  const quoted = JSON.stringify(value)
  return quoted.length > LONGEST_SHOWN ? `${quoted.slice(0, LONGEST_SHOWN - 2)}…"` : quoted
}
