import { ConfigError } from '../core/errors.ts'

/** Makes a reader of whole numbers from `least`, as `--limit` and `--batches` take them; `option` is for its message. */
export function parseCount(option: string, least = 1): (text: string) => number {
  return text => {
    const count = Number(text)
    if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count >= least) return count
    throw new ConfigError(`${option} ${text} is not understood. It is a whole number from ${least}.`)
  }
}
