/**
 * Shared memory in which a worker notes what its groups do, a cell each: 0 while it waits, 1 when it has begun, more with every sign of life. The driver
 * looks now and then. Messages would not do: a job that never gives its thread back (`while (true)`) keeps the message in that it has begun, and it could
 * not be told from one that waits; and one message a piece of progress would cost more than the progress.
 */
export type Board = Int32Array<SharedArrayBuffer>

export function makeBoard(groups: number): Board {
  return new Int32Array(new SharedArrayBuffer(groups * Int32Array.BYTES_PER_ELEMENT))
}

/** Notes that the group at `place` has begun, and after that, that it moved. */
export function note(board: Int32Array, place: number): void {
  // Past 2^32 signs of life it would read "waits" for one of them.
  if (Atomics.add(board, place, 1) === -1) Atomics.store(board, place, 1)
}

export function cellAt(board: Int32Array, place: number): number {
  return Atomics.load(board, place)
}
