import type { SchemaFacts } from './read-schemas.ts'
import type { TakesOptions, TypedOption } from './read-types.ts'

const UNITS: Readonly<Record<string, number>> = { KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 }

/** Where types and schemas disagree about names and defaults, one sentence each. */
export function disagreements(what: TakesOptions, schemas: SchemaFacts): string[] {
  if (!schemas.isKnown) return []
  const groups = Map.groupBy(what.options, ({ path }) => path.slice(0, -1).join('.'))
  const names = [...groups].flatMap(([place, options]) => {
    const known = schemas.namesAt(place === '' ? [] : place.split('.'))
    if (known === undefined) return []
    const declared = new Set(options.map(({ path }) => path.at(-1) ?? ''))
    const at = place === '' ? what.name : `${what.name}: ${place}`
    return [
      ...[...declared].filter(name => !known.has(name)).map(name => `${at} has ${name} in its type, and its schema does not know it`),
      ...[...known].filter(name => !declared.has(name)).map(name => `${at} has ${name} in its schema, and its type does not`),
    ]
  })
  return [...names, ...what.options.flatMap(option => defaultTrouble(what, option, schemas))]
}

function defaultTrouble(what: TakesOptions, option: TypedOption, schemas: SchemaFacts): string[] {
  const value = schemas.defaultOf(option.path)
  if (value === undefined || option.isGroup || option.fallback === '') return []
  const name = `${what.name}: ${option.path.join('.')}`
  if (option.fallback === '')
    return Array.isArray(value) ? [] : [`${name} has the default ${JSON.stringify(value)}, and its type has no @default`]
  const documented = literal(option.fallback)
  if (documented === undefined || JSON.stringify(documented) === JSON.stringify(value)) return []
  return [`${name} has the default ${JSON.stringify(value)}, and its type says @default ${option.fallback}`]
}

/** A default that is written as a value: `500_000`, `8 MiB`, `'off'`, `{ at: 'earliest' }`. Undefined for one that is told in words. */
function literal(text: string): unknown {
  const number = /^([\d_]+(?:\.\d+)?)(?: (KiB|MiB|GiB))?$/.exec(text)
  if (number !== null) return Number(number[1]?.replaceAll('_', '')) * (number[2] === undefined ? 1 : (UNITS[number[2]] ?? Number.NaN))
  if (text === 'true' || text === 'false') return text === 'true'
  const quoted = /^'([^']*)'$/.exec(text)
  if (quoted !== null) return quoted[1]
  if (!/^[[{]/.test(text)) return undefined
  return JSON.parse(text.replace(/(\w+):/g, '"$1":').replaceAll("'", '"'))
}
