/** A value that its column cannot take. `expected` is what the column takes; the row encoder adds row and column. */
export class WrongValue extends Error {
  readonly expected: string

  constructor(expected: string) {
    super(`expected ${expected}`)
    this.expected = expected
  }
}
