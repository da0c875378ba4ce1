import { toJsonLine } from '../../../src/util/json-line.ts'
import type { TextCompression } from './compress.ts'
import type { Format } from './format.ts'
import { textFormat } from './text-format.ts'

/** A row a line, as JSON. */
export function jsonlFormat(compression: TextCompression): Format {
  return textFormat({ name: 'jsonl', compression, signature: 'jsonl', header: '', line: toJsonLine })
}
