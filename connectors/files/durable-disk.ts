import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { diskErrorCode, onDisk } from './disk-error.ts'

/**
 * Makes `folder` with its parents, in a way that a power cut does not undo: the folders that got an entry are fsynced, up to `root`, and above it
 * where they were made too. Which of them an earlier process made and never fsynced nobody knows, so the first time in this process all count
 * (`durable` remembers).
 */
export async function makeFolder(folder: string, root: string, durable: Set<string>): Promise<void> {
  const firstMade = await onDisk('make the folder', folder, () => makeFolders(folder))
  if (firstMade === undefined && durable.has(folder)) return
  const top = firstMade !== undefined && !isBelow(firstMade, root) ? dirname(firstMade) : root
  for (let at = dirname(folder); isBelow(at, top); at = dirname(at)) await syncFolder(at)
  await syncFolder(top)
  durable.add(folder)
}

/** Gives the first folder it made. */
async function makeFolders(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true })
  } catch (error) {
    // On a read-only file system Node says ENOENT of a path whose parent is there; made plainly, the folder that fails says why.
    if (diskErrorCode(error) === 'ENOENT' && error instanceof Error && 'path' in error) await mkdir(String(error.path))
    throw error
  }
}

/** Makes the entries of a folder durable: without it a rename may be undone by a power cut, although the file itself was fsynced. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and NTFS journals renames.
  if (process.platform === 'win32') return
  await onDisk('fsync the folder', folder, async () => {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  })
}

/** Writes a small file so that a reader, and a power cut, finds the old content or the new and nothing between. */
export async function replaceFile(path: string, text: string, aside: string): Promise<void> {
  await onDisk('write', path, async () => {
    const handle = await open(aside, 'w')
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(aside, path)
  })
  await syncFolder(dirname(path))
}

function isBelow(path: string, parent: string): boolean {
  const between = relative(parent, path)
  return between !== '' && between.split(sep, 1)[0] !== '..'
}
