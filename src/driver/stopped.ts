/** Why a signal was aborted when the user asked a run to stop: it ends the loop from wherever it waits, and is not a failure. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}
