// Runs one of the examples against servers that it starts itself, `npm run example kafka-to-postgres`, or lists them.

import { styleText } from 'node:util'
import { isTidemarkError } from '../src/core/errors.ts'
import { findExample, listExamples, showExamples } from './example/list-examples.ts'
import { runExample } from './example/run-example.ts'

const [name, ...rest] = process.argv.slice(2)
const examples = await listExamples()
const example = name === undefined ? undefined : findExample(examples, name)

if (name === undefined) {
  process.stdout.write(`${showExamples(examples)}\n`)
} else if (example === undefined || rest.length > 0) {
  const what = example === undefined ? `There is no example ${name}.` : `An example takes no arguments: ${rest.join(' ')}.`
  process.stderr.write(`example: ${what}\n\n${showExamples(examples)}\n`)
  process.exitCode = 2
} else {
  try {
    process.exitCode = await runExample(example)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`${styleText('red', 'example:', { stream: process.stderr })} ${message}\n`)
    process.exitCode = isTidemarkError(error, 'CONFIG') ? 2 : 1
  }
  // What failed may have left connections open.
  process.exit()
}
