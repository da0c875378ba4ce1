import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemRandom } from '../../src/core/random.ts'
import { onDisk } from './disk-error.ts'
import { makeFolder, syncFolder } from './durable-disk.ts'
import { AppendFile } from './formats/append-file.ts'
import { driverFile } from './layout.ts'
import { checkDriverNotFenced, type DriverClaim, readMarker } from './marker.ts'

/**
 * What the driver puts in place in its output's directory, in the way that tasks do: written aside under its epoch, fsynced, the marker looked at last,
 * renamed. A newer driver raises the marker first and then takes away what older epochs have aside. So once its fence has returned, this one can put
 * nothing in place: no version of the manifest, no file.
 */
export class FencedDisk {
  readonly directory: string
  readonly #claim: DriverClaim
  readonly #durableFolders: Set<string>

  constructor(directory: string, claim: DriverClaim, durableFolders: Set<string>) {
    this.directory = directory
    this.#claim = claim
    this.#durableFolders = durableFolders
  }

  get epoch(): number {
    return this.#claim.epoch
  }

  /** A new file aside, to be placed or removed. */
  newFile(about: string): AppendFile {
    return new AppendFile(driverFile(this.directory, this.epoch, about, systemRandom.id()))
  }

  /** Puts a small file in place: readers, and a power cut, find the old content or the new and nothing between. */
  async put(path: string, text: string): Promise<void> {
    const file = this.newFile('put')
    try {
      await file.append([Buffer.from(text)])
      await file.finish()
      await this.place(file.path, path)
    } finally {
      await file.park()
      await rm(file.path, { force: true }).catch(() => {})
    }
  }

  /** Puts a finished file in place. */
  async place(aside: string, path: string): Promise<void> {
    const folder = dirname(path)
    await makeFolder(folder, this.directory, this.#durableFolders)
    await this.#checkFence(path)
    try {
      await onDisk('put in place', path, () => rename(aside, path))
    } catch (error) {
      // A fence that was raised after the look at the marker has taken the file aside away: then not the disk is at fault.
      await this.#checkFence(path)
      throw error
    }
    await syncFolder(folder)
  }

  async #checkFence(path: string): Promise<void> {
    checkDriverNotFenced(this.directory, await readMarker(this.directory), this.#claim, path)
  }
}
