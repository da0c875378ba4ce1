import type { Entry, Scope } from './entry.ts'

/** The scopes that have groups. Each listens to its signal once, for all of them: what a signal's listeners cost grows with the square of their number. */
export class Scopes {
  readonly #onAbort: (scope: Scope) => void
  readonly #scopes = new Map<AbortSignal, { readonly scope: Scope; readonly onAbort: () => void }>()
  #nextId = 0

  constructor(onAbort: (scope: Scope) => void) {
    this.#onAbort = onAbort
  }

  of(signal: AbortSignal): Scope {
    const known = this.#scopes.get(signal)
    if (known !== undefined) return known.scope
    const scope: Scope = { id: this.#nextId++, signal, entries: new Set() }
    const onAbort = () => this.#onAbort(scope)
    this.#scopes.set(signal, { scope, onAbort })
    signal.addEventListener('abort', onAbort, { once: true })
    return scope
  }

  /** A group has its answer; a scope without groups ends. */
  leave(entry: Entry): void {
    const { entries, signal } = entry.scope
    entries.delete(entry)
    const known = this.#scopes.get(signal)
    if (entries.size > 0 || known?.scope !== entry.scope) return
    signal.removeEventListener('abort', known.onAbort)
    this.#scopes.delete(signal)
  }
}
