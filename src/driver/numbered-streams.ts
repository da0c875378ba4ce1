import type { OffsetStore } from '../core/offset-store.ts'

/** The numbers of the streams that are named `<prefix><number>`, the highest first. */
export async function numbersAfter(store: OffsetStore, prefix: string, signal: AbortSignal): Promise<number[]> {
  return (await store.streams({ signal }))
    .filter(name => name.startsWith(prefix) && /^[1-9]\d*$/.test(name.slice(prefix.length)))
    .map(name => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a)
}
