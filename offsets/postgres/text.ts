// U+0001 stands for what follows it: `0` for U+0000, `1` for itself. No text has it in practice, so what is in the tables reads as it is.
const ESCAPE = '\u0001'

/** A text as a column can keep it: Postgres refuses U+0000, and the contract says that any text is a name. */
export function toColumn(text: string): string {
  return text.replaceAll(ESCAPE, `${ESCAPE}1`).replaceAll('\0', `${ESCAPE}0`)
}

/** What {@link toColumn} was given. */
export function fromColumn(text: string): string {
  return text.replaceAll(`${ESCAPE}0`, '\0').replaceAll(`${ESCAPE}1`, ESCAPE)
}

/** Whether a JSON text may hold something that {@link toColumn} changes. */
export function hasOdd(json: string): boolean {
  return json.includes('\\u0000') || json.includes('\\u0001')
}
