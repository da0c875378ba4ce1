/** Writes one JSON result to stdout. Its shape only grows; `v` changes when it does not. */
export function printJson(result: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ v: 1, ...result })}\n`)
}

/** Where a command's text goes: to stdout, or beside it where stdout holds JSON. */
export function textStream({ json = false }: { readonly json?: boolean }): NodeJS.WritableStream {
  return json ? process.stderr : process.stdout
}

/** Writes rows of text as columns: the first left, the others right, or all left in a table of words. */
export function printTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { out = process.stdout, align = 'numbers' }: { readonly out?: NodeJS.WritableStream; readonly align?: 'numbers' | 'words' } = {},
): void {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  for (const row of all) {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? ''
      return column === 0 || align === 'words' ? cell.padEnd(width) : cell.padStart(width)
    })
    out.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

/** A number as people read it: `1,234,567`; a dash where there is none. */
export function showNumber(value: number | undefined): string {
  return value === undefined ? '-' : value.toLocaleString('en-US')
}

/** `1 batch`, `2 batches`: a number with what it counts. */
export function showCount(count: number, one: string, many = `${one}s`): string {
  return `${showNumber(count)} ${count === 1 ? one : many}`
}

/** Bytes as people read them: `94.1 MiB`. */
export function showBytes(bytes: number): string {
  let value = bytes
  let unit = 'bytes'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024) break
    value /= 1024
    unit = next
  }
  return unit === 'bytes' ? showCount(value, 'byte') : `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`
}

/** A duration as people read it: `0.4 s`, `42 s`, `3 m 20 s`, `5 h 2 m`, `2 d 4 h`. */
export function showDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const [large, small, size] =
    seconds < 60 ? ['s', '', 1] : seconds < 3_600 ? ['m', 's', 60] : seconds < 86_400 ? ['h', 'm', 3_600] : ['d', 'h', 86_400]
  if (small === '') return `${seconds} ${large}`
  const rest = Math.floor((seconds % Number(size)) / { s: 1, m: 60, h: 3_600 }[small as 's' | 'm' | 'h'])
  return `${showNumber(Math.floor(seconds / Number(size)))} ${large} ${rest} ${small}`
}
