/** A table; what would end a cell is escaped. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heading, heading.map(() => '---'), ...rows.map(row => row.map(cell => cell.replaceAll('|', '\\|')))]
  return lines.map(cells => `| ${cells.join(' | ')} |`.replace(/\| +(?=\|)/g, '| ')).join('\n')
}

/** The anchor that a heading has. */
export function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')
}
