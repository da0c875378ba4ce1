/** How many tasks an executor works on and has ended since its start, as its heartbeat says. */
export class TaskCounts {
  #running = 0
  #completed = 0
  #failed = 0

  get running(): number {
    return this.#running
  }

  get values(): { readonly running: number; readonly completed: number; readonly failed: number } {
    return { running: this.#running, completed: this.#completed, failed: this.#failed }
  }

  /** Counts tasks that begin; call what it gives once they have ended. Aborted ones count as neither completed nor failed. */
  begin(tasks: number): (how: 'completed' | 'failed' | 'aborted') => void {
    this.#running += tasks
    return how => {
      this.#running -= tasks
      if (how === 'completed') this.#completed += tasks
      if (how === 'failed') this.#failed += tasks
    }
  }
}
