const MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Reads a duration as commands take it, in ms: `90s`, `30m`, `1h`, `1.5d`. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  return number === undefined ? undefined : Math.round(Number(number) * MS[unit as keyof typeof MS])
}
