/**
 * A value as JSON. What JSON cannot say (a BigInt, a cycle, undefined, a function) is an error that `refuse` makes; it is given the reason where there is
 * one to tell.
 */
export function jsonText(value: unknown, refuse: (reason?: string) => Error): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw refuse(error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : undefined)
  }
  if (text === undefined) throw refuse()
  return text
}
