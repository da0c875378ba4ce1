const PLAIN = /^[a-z0-9][a-z0-9._-]*$/
const UNSAFE_CHARACTER = /[^a-z0-9._-]/gu
/** Names that Windows keeps for devices, whatever follows the first dot. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/

/**
 * A name as a file or folder of its own on every file system, readable in the usual case: what is not a lower-case letter, a digit, `.`, `_`
 * or `-` becomes `%` and its bytes in hexadecimal. Capitals too, since `Orders` and `orders` are one folder on macOS and Windows and their files
 * would overwrite each other. So does a leading `.` or `_` (hidden from most readers), a trailing `.`, and a device's first letter.
 */
export function escapeName(name: string): string {
  if (PLAIN.test(name) && !name.endsWith('.') && !DEVICE.test(name)) return name
  const escaped = name.replace(UNSAFE_CHARACTER, escapeCharacter).replace(/^[._]|\.$/g, escapeCharacter)
  return DEVICE.test(escaped) ? escapeCharacter(escaped.charAt(0)) + escaped.slice(1) : escaped
}

/** The name that {@link escapeName} was given; undefined for text that it never gives. */
export function unescapeName(escaped: string): string | undefined {
  try {
    const name = decodeURIComponent(escaped)
    return escapeName(name) === escaped ? name : undefined
  } catch {
    return undefined
  }
}

function escapeCharacter(character: string): string {
  return [...Buffer.from(character, 'utf8')].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
