import type { Argument, Command, Option } from 'commander'
import { EXAMPLES, tidemarkProgram } from '../../src/cli/main.ts'
import { slug, table } from './markdown.ts'

const INTRODUCTION = `# Every command

This page is made from the commands themselves by \`npm run docs\`, and \`npm run check\` fails where it is stale. \`tidemark --help\` and
\`tidemark <command> --help\` show the same.`

/** The page of every command, its arguments and flags. */
export function cliPage(): string {
  const commands = tidemarkProgram().commands.flatMap(runnable)
  const contents = commands.map(command => `- [\`${nameOf(command)}\`](#${slug(nameOf(command))}): ${command.description()}`)
  const examples = `\`\`\`text\n${EXAMPLES.trim()}\n\`\`\``
  return `${[INTRODUCTION, contents.join('\n'), ...commands.map(section), '## Examples, stores, exit codes', examples].join('\n\n')}\n`
}

/** A command and those below it, without the ones that only hold others. */
function runnable(command: Command): Command[] {
  const isGroup = command.commands.length > 0 && command.options.length === 0
  return [...(isGroup ? [] : [command]), ...command.commands.flatMap(runnable)]
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

function section(command: Command): string {
  const argumentRows = command.registeredArguments.map(argument => [`\`${showArgument(argument)}\``, argument.description])
  const optionRows = command.options.filter(option => !option.hidden).map(option => [`\`${option.flags}\``, meaning(option)])
  const parts = [`## \`${nameOf(command)}\``, `${command.description()}.`, `\`\`\`sh\n${nameOf(command)} ${command.usage()}\n\`\`\``]
  if (argumentRows.length > 0) parts.push(table(['argument', 'meaning'], argumentRows))
  if (optionRows.length > 0) parts.push(table(['flag', 'meaning'], optionRows))
  return parts.join('\n\n')
}

function showArgument(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${name}>` : `[${name}]`
}

function meaning({ description, defaultValue, defaultValueDescription, argChoices, mandatory }: Option): string {
  const isEmpty = defaultValue === undefined || defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0)
  const notes = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
    ...(isEmpty ? [] : [`default ${defaultValueDescription ?? String(defaultValue)}`]),
    ...(mandatory ? ['required'] : []),
  ]
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`
}
