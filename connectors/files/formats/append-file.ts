import { type FileHandle, open } from 'node:fs/promises'
import { onDisk } from '../disk-error.ts'

const COPY_BYTES = 1 << 20

/** A new file that grows at its end. It can be parked, so that many are written and few are open. */
export class AppendFile {
  readonly path: string
  bytes = 0
  #handle: FileHandle | undefined
  #isMade = false

  constructor(path: string) {
    this.path = path
  }

  get isOpen(): boolean {
    return this.#handle !== undefined
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    if (chunks.length === 0) return
    const handle = await this.#open()
    for (const chunk of chunks) {
      // FileHandle.writeFile goes on at the file's position and, unlike write, until all of it is in.
      await onDisk('write to', this.path, () => handle.writeFile(chunk))
      this.bytes += chunk.length
    }
  }

  /** Appends a piece of another file, without holding more than a mebibyte of it. */
  async appendFrom(path: string, from: number, until: number): Promise<void> {
    const source = await onDisk('open', path, () => open(path, 'r'))
    try {
      const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(COPY_BYTES, until - from)))
      for (let at = from; at < until; ) {
        const { bytesRead } = await onDisk('read', path, () => source.read(buffer, 0, Math.min(buffer.length, until - at), at))
        if (bytesRead === 0) throw new Error(`${path} ends at byte ${at}, before ${until}: it was cut.`)
        await this.append([buffer.subarray(0, bytesRead)])
        at += bytesRead
      }
    } finally {
      await source.close()
    }
  }

  /** Makes it, so that a disk that will not take it says so before rows are read. */
  async begin(): Promise<void> {
    await this.#open()
  }

  /** Closes it for a while. */
  async park(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** Makes it durable, also with nothing in it, and closes it. */
  async finish(): Promise<void> {
    const handle = await this.#open()
    await onDisk('fsync', this.path, () => handle.sync())
    await this.park()
  }

  async #open(): Promise<FileHandle> {
    if (this.#handle === undefined) {
      const flags = this.#isMade ? 'a' : 'w'
      this.#handle = await onDisk(this.#isMade ? 'open' : 'make the file', this.path, () => open(this.path, flags))
      this.#isMade = true
    }
    return this.#handle
  }
}
