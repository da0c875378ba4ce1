type Sample = { readonly at: number; readonly total: number }

/** Over less than this a rate says nothing (ms). */
const LEAST_MS = 50

/** How fast a total grows, over the newest part of the past: it neither jumps with each step nor remembers the start for ever. */
export class Rate {
  readonly #windowMs: number
  readonly #past: Sample[] = []

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Notes the total at a moment (ms, monotonic). */
  note(at: number, total: number): void {
    this.#past.push({ at, total })
    // The newest sample outside the window stays, so that the window is always covered.
    while ((this.#past[1]?.at ?? at) < at - this.#windowMs) this.#past.shift()
  }

  /** Growth a second; undefined while too little is known. */
  perSecond(): number | undefined {
    const first = this.#past[0]
    const last = this.#past.at(-1)
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) return undefined
    return ((last.total - first.total) / (last.at - first.at)) * 1000
  }
}
