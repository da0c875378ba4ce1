import type { z } from 'zod'
import { isTidemarkError } from '../../src/core/errors.ts'
import { optionsChannel } from '../../src/util/parse-options.ts'
import { schemasAt } from '../../src/util/schemas-at.ts'
import type { TakesOptions } from './read-types.ts'

/** What fits no option, so that every schema says what it takes; and, where it then only names a type, what is of that type and may still not do. */
const MISFIT = Symbol('no option')
const NEAR_MISSES: Readonly<Record<string, unknown>> = { 'a string': '', 'a number': -0.5, 'a whole number': -1 }
/** Says nothing that the type does not say, or only that it is not to be there beside the others that were given. */
const SAYS_NOTHING = /^(an? (string|number|whole number|function|boolean|array|object|custom|undefined)|(none|either)\b.*)$/
const UNKNOWN = 'noOptionOfThisName'

/** What the schemas behind a function say of its options. */
export type SchemaFacts = {
  /** Whether it checks its options by a schema at all. */
  readonly isKnown: boolean
  /** The names that are known at a place, and no other is; undefined where the schemas have no object there, or one that lets others through. */
  readonly namesAt: (path: readonly string[]) => ReadonlySet<string> | undefined
  /** The default that is filled in; undefined where there is none. */
  readonly defaultOf: (path: readonly string[]) => unknown
  /** The accepted form, in the words of the error message. */
  readonly acceptedOf: (path: readonly string[]) => string | undefined
}

/**
 * Calls a function with options that cannot be, and looks at the schemas it checks them by and at what it answers. The function does nothing
 * else: what it is given never fits.
 */
export async function readSchemas(what: TakesOptions, called: unknown): Promise<SchemaFacts> {
  const seen = new Set<z.ZodType>()
  const note = (message: unknown) => seen.add((message as { readonly schema: z.ZodType }).schema)
  const accepted = new Map<string, string>()
  optionsChannel.subscribe(note)
  try {
    for (const { path } of what.options) {
      const name = path.join('.')
      const ask = async (value: unknown) => acceptedIn(await problemsOf(what, called, nest(path, value)), name)
      // Where one option decides what the others mean, it does so by being a function.
      if (path.length === 1) await problemsOf(what, called, { [name]: () => {}, [UNKNOWN]: MISFIT })
      const form = await ask(MISFIT)
      const nearer = form !== undefined && form in NEAR_MISSES ? await ask(NEAR_MISSES[form]) : undefined
      const told = nearer ?? form
      if (told !== undefined && !SAYS_NOTHING.test(told)) accepted.set(name, told)
    }
  } finally {
    optionsChannel.unsubscribe(note)
  }
  const schemas = [...seen]
  const at = (path: readonly string[]) => schemas.flatMap(schema => schemasAt(schema, path))
  return {
    isKnown: schemas.length > 0,
    namesAt: path => {
      const shapes = at(path).flatMap(schema => (isStrict(schema) ? [schema.shape] : []))
      if (shapes.length === 0) return undefined
      return new Set(
        shapes.flatMap(shape => Object.entries(shape).flatMap(([name, schema]) => (isForbidden(schema as z.ZodType) ? [] : [name]))),
      )
    },
    defaultOf: path => {
      const filled = at(path).find(schema => schema.type === 'default' || schema.type === 'prefault')
      return filled && (filled.def as unknown as { readonly defaultValue: unknown }).defaultValue
    },
    acceptedOf: path => accepted.get(path.join('.')),
  }
}

function isStrict(schema: z.ZodType): schema is z.ZodObject {
  return schema.type === 'object' && ((schema as z.ZodObject).def.catchall as z.ZodType | undefined)?.type === 'never'
}

/** Whether an option is only there to be refused with a reason. */
function isForbidden(schema: z.ZodType): boolean {
  return schemasAt(schema, []).every(inner => ['optional', 'undefined', 'never'].includes(inner.type))
}

async function problemsOf({ kind, at }: TakesOptions, called: unknown, options: object): Promise<readonly string[]> {
  const before = Array.from({ length: at }, () => [])
  try {
    if (kind === 'class') Reflect.construct(called as new () => unknown, [...before, options])
    else if (kind === 'function') await (called as (...given: unknown[]) => unknown)(...before, options)
  } catch (error) {
    const { problems } = (isTidemarkError(error, 'CONFIG') ? error.details : {}) as { readonly problems?: readonly string[] }
    return problems ?? []
  }
  return []
}

/** What the line about an option says is accepted. */
function acceptedIn(problems: readonly string[], name: string): string | undefined {
  const line = problems.find(problem => problem.startsWith(`${name} is `) && problem.includes(': '))
  return line?.slice(line.indexOf(': ') + 2).replace(/^expected /, '')
}

function nest(path: readonly string[], value: unknown): object {
  return path.reduceRight((inner: unknown, name) => ({ [name]: inner }), value) as object
}
