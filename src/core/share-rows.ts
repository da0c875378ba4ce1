type Rows = AsyncIterable<readonly unknown[]>

/**
 * Gives several readers the same arrays of rows from one read, in step: the next array is fetched when every reader that is still there has
 * asked for it, so nothing is buffered. A reader leaves by ending its iteration or through `leave`, also one that never began.
 */
export function shareRows(rows: Rows, readers: number): { readonly branches: readonly Rows[]; leave(reader: number): void } {
  const iterator = rows[Symbol.asyncIterator]()
  const present = new Set(Array.from({ length: readers }, (_, reader) => reader))
  let waiting: { reader: number; resolve: (result: IteratorResult<readonly unknown[]>) => void; reject: (error: unknown) => void }[] = []
  let isPulling = false

  function pullIfAllAsked() {
    if (isPulling || waiting.length === 0 || waiting.length < present.size) return
    isPulling = true
    const asked = waiting
    waiting = []
    iterator.next().then(
      result => {
        isPulling = false
        for (const { resolve } of asked) resolve(result)
      },
      error => {
        isPulling = false
        for (const { reject } of asked) reject(error)
      },
    )
  }

  function leave(reader: number) {
    if (!present.delete(reader)) return
    for (const left of waiting.filter(entry => entry.reader === reader)) left.resolve({ done: true, value: undefined })
    waiting = waiting.filter(entry => entry.reader !== reader)
    // The last one out closes the read; an error of closing has nobody left to concern.
    if (present.size === 0) iterator.return?.().catch(() => {})
    else pullIfAllAsked()
  }

  const branch = (reader: number): Rows => ({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise((resolve, reject) => {
          if (!present.has(reader)) return resolve({ done: true, value: undefined })
          waiting.push({ reader, resolve, reject })
          pullIfAllAsked()
        }),
      return: async () => {
        leave(reader)
        return { done: true, value: undefined }
      },
    }),
  })

  return { branches: Array.from(present, branch), leave }
}
