import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { listJsonlFiles } from 'tidemark/files'

/** What is in the files, by id. */
export type FileCheck = { readonly rows: number; readonly lost: number; readonly duplicated: number }

/** Reads every row of every file and checks that each id from 0 to `count` − 1 is there once. */
export async function checkFiles(directory: string, count: number): Promise<FileCheck> {
  const seen = new Uint8Array(count)
  let rows = 0
  let duplicated = 0
  for (const file of await listJsonlFiles(directory)) {
    for await (const line of createInterface({ input: createReadStream(file.path) })) {
      const { id }: { id: number } = JSON.parse(line)
      rows += 1
      if (!Number.isInteger(id) || id < 0 || id >= count || seen[id] !== 0) duplicated += 1
      else seen[id] = 1
    }
  }
  return { rows, lost: seen.reduce((missing, flag) => missing + (flag === 0 ? 1 : 0), 0), duplicated }
}
