import type { z } from 'zod'
import { closestName } from './closest-name.ts'
import { schemasAt } from './schemas-at.ts'
import { isSecretName, showValue } from './show-value.ts'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** What marks a text of ours, so that a schema's own error text can be told from it and kept as it is. */
const EXPECTED = 'expected '
/** What zod says of a union that was given no text. */
const NO_TEXT_OF_ITS_OWN = 'Invalid input'

/** Zod's error map for options: what would have been accepted. The value is told apart, by {@link describeProblem}. */
export function expectedForm(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED + withArticle(issue.expected)
    case 'too_small':
      return EXPECTED + atBound(issue.origin, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')
    case 'too_big':
      return EXPECTED + atBound(issue.origin, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')
    case 'invalid_value':
      return EXPECTED + listOf(issue.values.map(value => showValue(value)))
    case 'invalid_format':
      return `${EXPECTED}text of the form ${issue.pattern ?? issue.format}`
    case 'not_multiple_of':
      return `${EXPECTED}a multiple of ${issue.divisor}`
    case 'custom':
      return `${EXPECTED}another value`
    default:
      return undefined
  }
}

/** One issue as lines of `path is value: accepted form`. `schema` and `value` are the whole of what was parsed. */
export function describeProblem(issue: Issue, schema: z.ZodType, value: unknown): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => describeUnknown([...issue.path, key], schema))
  if (issue.code === 'invalid_union' && issue.errors.length > 0) return describeUnion(issue, schema, value)
  return [`${showPath(issue.path)} is ${valueAt(value, issue.path)}: ${acceptedForm(issue, schema)}`]
}

function acceptedForm(issue: Issue, schema: z.ZodType): string {
  if (issue.code === 'invalid_union') {
    return 'options' in issue && issue.options ? EXPECTED + listOf(issue.options.map(option => showValue(option))) : issue.message
  }
  if (!issue.message.startsWith(EXPECTED)) return issue.message
  const described = schemasAt(schema, issue.path).find(at => at.description !== undefined)?.description
  return described === undefined ? issue.message : EXPECTED + described
}

function describeUnknown(path: Path, schema: z.ZodType): string {
  const known = schemasAt(schema, path.slice(0, -1)).flatMap(at => (at.type === 'object' ? Object.keys((at as z.ZodObject).shape) : []))
  const near = closestName(String(path.at(-1)), known)
  const advice = near === undefined ? `known are ${listOf([...new Set(known)].sort(), 'and')}` : `did you mean ${near}?`
  return `${showPath(path)} is not an option: ${advice}`
}

/**
 * A value that fits no member of a union: where it is of the right kind for some member, what is wrong inside the nearest one; else every form
 * that is accepted.
 */
function describeUnion(issue: Extract<Issue, { code: 'invalid_union' }>, schema: z.ZodType, value: unknown): string[] {
  const described = schemasAt(schema, issue.path).find(at => at.description !== undefined)?.description
  const inside = issue.errors.filter(errors => errors.every(error => error.path.length > 0 || error.code === 'unrecognized_keys'))
  const nearest = inside.sort((a, b) => unknownKeys(a) - unknownKeys(b) || a.length - b.length)[0]
  if (nearest !== undefined) {
    return nearest.flatMap(error => describeProblem({ ...error, path: [...issue.path, ...error.path] }, schema, value))
  }
  if (described === undefined && issue.message !== NO_TEXT_OF_ITS_OWN) {
    return [`${showPath(issue.path)} is ${valueAt(value, issue.path)}: ${issue.message}`]
  }
  const forms = issue.errors.flatMap(errors => errors.map(error => error.message.replace(EXPECTED, '')))
  const accepted = described ?? listOf([...new Set(forms)].filter(form => form !== 'another value'))
  return [`${showPath(issue.path)} is ${valueAt(value, issue.path)}: ${EXPECTED}${accepted}`]
}

function unknownKeys(errors: readonly Issue[]): number {
  return errors.reduce((count, error) => count + (error.code === 'unrecognized_keys' ? error.keys.length : 0), 0)
}

function showPath(path: Path): string {
  const text = path.reduce<string>((shown, key) => (typeof key === 'number' ? `${shown}[${key}]` : `${shown}.${String(key)}`), '')
  return text === '' ? 'the argument' : text.replace(/^\./, '')
}

function valueAt(value: unknown, path: Path): string {
  const found = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], value)
  return showValue(found, { secret: path.some(key => isSecretName(String(key))) })
}

function atBound(origin: string, bound: number | bigint, words: string): string {
  if (origin === 'string') return bound === 1 && words === 'at least' ? 'non-empty text' : `text of ${words} ${bound} characters`
  if (origin === 'array' || origin === 'set') return `${words} ${bound} ${bound === 1 ? 'entry' : 'entries'}`
  return `${origin === 'int' ? 'a whole number' : 'a number'}, ${words} ${bound}`
}

function withArticle(type: string): string {
  if (type === 'int') return 'a whole number'
  if (type === 'undefined' || type === 'null') return type
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function listOf(forms: readonly string[], last = 'or'): string {
  if (forms.length < 2) return forms.join('')
  return `${forms.slice(0, -1).join(', ')} ${last} ${forms.at(-1)}`
}
