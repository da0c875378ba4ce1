import { disagreements } from './check-options.ts'
import { entryPoints } from './entry-points.ts'
import { slug, table } from './markdown.ts'
import { readSchemas, type SchemaFacts } from './read-schemas.ts'
import { type TakesOptions, type TypedOption, TypeReader } from './read-types.ts'

/** What people who write a job do not call. */
const LEFT_OUT = ['tidemark/testing', 'tidemark/rules']
/** Interfaces of `tidemark` whose methods take options, and what one calls such a thing. */
const METHODS = [
  ['StreamJob', 'job'],
  ['Run', 'run'],
  ['Flow', 'flow'],
] as const

const INTRODUCTION = `# Every option

This page is made from the sources by \`npm run docs\`: names and prose from the types, defaults and accepted forms from the schemas that check
them at run time. \`npm run check\` fails where it is stale, or where type and schema disagree.

Options are checked where they enter, all at once: a \`ConfigError\` lists every mistake with its path, its value (unless it can be a secret) and the
accepted form, and an unknown name with the nearest known one. What can come from the environment may be \`undefined\`, and the error then says which
variable it usually is.`

type Section = { readonly entry: string; readonly what: TakesOptions; readonly schemas: SchemaFacts }

/** The page of every option. @throws Error where a type and its schema disagree */
export async function optionsPage(): Promise<string> {
  const reader = new TypeReader()
  try {
    const sections: Section[] = []
    for (const { name: entry, path } of entryPoints()) {
      if (LEFT_OUT.includes(entry)) continue
      const module: Record<string, unknown> = await import(new URL(`../../${path}`, import.meta.url).href)
      const methods = entry === 'tidemark' ? METHODS.flatMap(([name, on]) => reader.methodsOf(path, name, on)) : []
      for (const what of [...reader.exportsOf(path), ...methods]) {
        sections.push({ entry, what, schemas: await readSchemas(what, module[what.name]) })
      }
    }
    const wrong = sections.flatMap(({ what, schemas }) => disagreements(what, schemas))
    if (wrong.length > 0) throw new Error(`Types and schemas disagree:\n  ${wrong.join('\n  ')}`)
    return page(sections)
  } finally {
    reader.close()
  }
}

function page(sections: readonly Section[]): string {
  const byEntry = Map.groupBy(sections, ({ entry }) => entry)
  const contents = [...byEntry].map(
    ([entry, some]) => `- \`${entry}\`: ${some.map(({ what }) => `[\`${what.name}\`](#${slug(what.call)})`).join(', ')}`,
  )
  const parts = [...byEntry].flatMap(([entry, some]) => [`## ${entry}`, ...some.map(section)])
  return `${[INTRODUCTION, contents.join('\n'), ...parts].join('\n\n')}\n`
}

function section({ what, schemas }: Section): string {
  const rows = what.options.map(option => [
    `\`${option.path.join('.')}\``,
    option.isGroup ? '' : `\`${option.type}\``,
    fallback(option, schemas),
    meaning(option, schemas),
  ])
  return [
    `### \`${what.call}\``,
    ...(what.prose === '' ? [] : [what.prose]),
    ...(what.forms.length > 1 ? [`One of: ${what.forms.map(form => `\`{ ${form.join(', ')} }\``).join(', ')}, and the rest.`] : []),
    table(['option', 'type', 'default', 'meaning'], rows),
  ].join('\n\n')
}

function fallback({ path, presence, isGroup, fallback: documented }: TypedOption, schemas: SchemaFacts): string {
  if (presence === 'required') return 'required'
  if (presence === 'of a form') return 'one of the forms'
  const filled = schemas.defaultOf(path)
  const text = documented === '' && !isGroup && filled !== undefined && !Array.isArray(filled) ? show(filled) : documented
  return text === '' ? '' : /^[\d'"[{]|^\w+\(.*\)$/.test(text) && !text.includes('`') ? `\`${text}\`` : text
}

function meaning({ path, prose, isGroup }: TypedOption, schemas: SchemaFacts): string {
  const accepted = isGroup ? undefined : schemas.acceptedOf(path)
  return [prose, ...(accepted === undefined ? [] : [`_Accepts ${accepted}._`])].filter(text => text !== '').join(' ')
}

function show(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en-US').replaceAll(',', '_')
  return typeof value === 'string' ? `'${value}'` : String(value)
}
