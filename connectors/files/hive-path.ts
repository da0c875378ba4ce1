import { WrongValue } from './row-refused.ts'

/** What stands for a missing value in the name of a folder, as in Hive and Spark. */
const NULL_PARTITION = '__HIVE_DEFAULT_PARTITION__'

/** One level of a path: `dt=2026-11-20`. A missing value and an empty text are one folder, as in Spark: readers give NULL for it. */
export type HiveLevel = { readonly key: string; readonly value: string | null }

/** What Hive escapes in a folder's name, and the space at its end that Windows would drop. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const UNSAFE = /[\u0000-\u001f\u007f"#%'*/:=?\\{}[\]^<>|]| $|\.$/g

/** The longest name of a folder that the usual file systems take. */
const LONGEST_NAME = 255

/** `dt=2026-11-20/country=DE`, below an output's directory. Unsafe characters become `%XX`, which DuckDB, Spark and pyarrow read back. */
export function hivePath(levels: readonly HiveLevel[]): string {
  return levels.map(folderName).join('/')
}

/**
 * Too long a name is refused here, where the row is known and a job can be mended. The folder is made only when parts are put together, and by then the
 * row is in: the batch could never be committed, whatever one does to the job.
 */
function folderName({ key, value }: HiveLevel): string {
  const name = `${escapeText(key)}=${value === null || value === '' ? NULL_PARTITION : escapeValue(value)}`
  // No character takes more than three bytes, and few names are that long.
  if (3 * name.length > LONGEST_NAME && Buffer.byteLength(name) > LONGEST_NAME) {
    throw new WrongValue(`a value for ${key} that makes the name of a folder, with ${key}= and escapes at most ${LONGEST_NAME} bytes`)
  }
  return name
}

/** What readers take for a missing value: Hive's own word, and in DuckDB this one. */
const NAMES_OF_NOTHING = /^(?:__HIVE_DEFAULT_PARTITION__|null)$/i

/** A text that is a name of nothing would be read as nothing. DuckDB and Spark compare before they unescape; pyarrow still takes Hive's word for NULL. */
function escapeValue(value: string): string {
  return NAMES_OF_NOTHING.test(value) ? `${escapeCharacter(value.charAt(0))}${value.slice(1)}` : escapeText(value)
}

function escapeText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
