/** Writes one JSON result to stdout. Its shape only grows; `v` changes when it does not. */
export function printJson(result: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ v: 1, ...result })}\n`)
}

/** Writes rows of text as columns to stdout: the first left, the others right. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  for (const row of all) {
    const cells = widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width)))
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

/** A number as people read it: `1,234,567`; a dash where there is none. */
export function showNumber(value: number | undefined): string {
  return value === undefined ? '-' : value.toLocaleString('en-US')
}
