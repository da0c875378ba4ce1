// Documents that are written only on the version they were read at, on a disk.
import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** A document as it was read. Version 0 is one that was never written. */
export type Versioned = { readonly version: number; readonly text: string | undefined }

/**
 * A folder a document, a file a version. To write version 8 is to link a file to that name, which the system does only if nobody has it: of two that have
 * read version 7 one wins. Older versions are swept; who has read one of those would find its next name free again, so whoever wrote looks whether there is a
 * newer version, and has lost then.
 */
export class VersionedFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The newest text of every document. */
  async texts(): Promise<string[]> {
    const found = await Promise.all((await entriesOf(this.#folder)).map(entry => this.#readFrom(join(this.#folder, entry))))
    return found.flatMap(({ text }) => (text === undefined ? [] : [text]))
  }

  read(name: string): Promise<Versioned> {
    return this.#readFrom(this.#folderOf(name))
  }

  /** Whether it was written: not where another has written since `version`. What resolves is on the disk. */
  async write(name: string, version: number, text: string): Promise<boolean> {
    const folder = this.#folderOf(name)
    await mkdir(folder, { recursive: true })
    const aside = join(folder, `aside-${randomUUID()}`)
    const written = fileOf(folder, version + 1)
    try {
      await using file = await open(aside, 'wx')
      await file.writeFile(text)
      await file.sync()
      await link(aside, written)
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    } finally {
      await rm(aside, { force: true })
    }
    if ((await newestIn(folder)) > version + 1) {
      await rm(written, { force: true })
      return false
    }
    await using directory = await open(folder, 'r')
    await directory.sync()
    if (version > 0) await rm(fileOf(folder, version), { force: true })
    return true
  }

  async #readFrom(folder: string): Promise<Versioned> {
    for (;;) {
      const version = await newestIn(folder)
      if (version === 0) return { version, text: undefined }
      try {
        return { version, text: await readFile(fileOf(folder, version), 'utf8') }
      } catch (error) {
        // Swept between the look and the read: there is a newer one.
        if (!hasCode(error, 'ENOENT')) throw error
      }
    }
  }

  /** By a hash, for a name may be longer than a disk takes. */
  #folderOf(name: string): string {
    return join(this.#folder, createHash('sha256').update(name).digest('hex'))
  }
}

function fileOf(folder: string, version: number): string {
  return join(folder, `${version}.json`)
}

async function newestIn(folder: string): Promise<number> {
  const versions = (await entriesOf(folder)).map(entry => Number(/^(\d+)\.json$/.exec(entry)?.[1] ?? 0))
  return Math.max(0, ...versions)
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
