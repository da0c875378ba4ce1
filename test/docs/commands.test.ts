import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { tidemarkProgram } from '../../src/cli/main.ts'
import { readText } from './readme.ts'

const DOCUMENTS = [
  'README.md',
  ...['getting-started', 'guarantees', 'other-engines', 'from-spark', 'from-kafkajs', 'from-kafka-connect'].map(name => `docs/${name}.md`),
  ...['offset-stores', 'outputs', 'executors', 'operations', 'backfill'].map(name => `docs/${name}.md`),
]

/** What a document shows as code: fenced lines, and spans in its prose. */
function shownCode(text: string): string[] {
  const fenced = Array.from(text.matchAll(/^```[\s\S]*?^```$/gm), ([block]) => block.split('\n')).flat()
  const spans = Array.from(text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`]+)`/g), ([, span = '']) => span.replaceAll('\n', ' '))
  return [...fenced, ...spans]
}

/** The calls of the command in a line, each up to a comment or to the next command of a shell. */
function callsIn(line: string): string[][] {
  return Array.from(line.matchAll(/(?:^|\s)tidemark ([a-z][^#;&|]*)/g), ([, call = '']) => call.trim().split(/\s+/))
}

/** What is wrong about a call: a command or a flag that there is not. */
function mistakes(call: readonly string[]): string[] {
  let command: Command = tidemarkProgram()
  for (const word of call) {
    const below = command.commands.find(one => one.name() === word)
    if (below === undefined) break
    command = below
  }
  if (command.parent === null) return [`tidemark ${call[0]} is no command`]
  const known = command.options.flatMap(({ long }) => long ?? [])
  const flags = call.flatMap(word => /^--[a-z-]+/.exec(word)?.[0] ?? [])
  return flags.filter(flag => !known.includes(flag) && flag !== '--help').map(flag => `tidemark ${call.join(' ')}: no ${flag}`)
}

describe('commands', () => {
  test.for(DOCUMENTS)('that %s shows are there, with their flags', document => {
    expect(shownCode(readText(document)).flatMap(callsIn).flatMap(mistakes)).toEqual([])
  })

  test('that are wrong are found', () => {
    const shown = shownCode(
      'Run `npx tidemark replaay orders.ts`, or\n\n```sh\ntidemark plan orders.ts --untill latest   # a --comment\n```\n',
    )
    expect(shown.flatMap(callsIn).flatMap(mistakes)).toEqual([
      'tidemark plan orders.ts --untill latest: no --untill',
      'tidemark replaay is no command',
    ])
  })
})
