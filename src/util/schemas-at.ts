import type { z } from 'zod'

/** What zod keeps of the schemas that others wrap or contain; the rest of a definition does not matter for finding a path. */
type Definition = {
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly options?: readonly z.ZodType[]
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
}

/** Every schema that `path` can mean inside `schema`, outermost first: wrappers (optional, default) and each member of a union. */
export function schemasAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType[] {
  const here = unwrap(schema)
  const [key, ...rest] = path
  if (key === undefined) return here
  return here.flatMap(at => {
    const inside = at.type === 'object' ? (at as z.ZodObject).shape[String(key)] : elementOf(at)
    return inside === undefined ? [] : schemasAt(inside as z.ZodType, rest)
  })
}

function unwrap(schema: z.ZodType): z.ZodType[] {
  const definition = schema.def as Definition
  const wrapped = [definition.innerType, schema.type === 'pipe' ? definition.in : undefined, ...(definition.options ?? [])]
  return [schema, ...wrapped.flatMap(inner => (inner === undefined ? [] : unwrap(inner)))]
}

function elementOf(schema: z.ZodType): z.ZodType | undefined {
  const definition = schema.def as Definition
  return definition.element ?? definition.valueType
}
