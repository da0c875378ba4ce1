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

  /**
   * Counts tasks that begin; call what it gives once they have ended, with how many of completed ones failed beside the others. Aborted ones count as
   * neither completed nor failed.
   */
  begin(tasks: number): (how: 'completed' | 'failed' | 'aborted', failedBeside?: number) => void {
    this.#running += tasks
    return (how, failedBeside = 0) => {
      this.#running -= tasks
      if (how === 'completed') {
        this.#completed += tasks - failedBeside
        this.#failed += failedBeside
      }
      if (how === 'failed') this.#failed += tasks
    }
  }
}
