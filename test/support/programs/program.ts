import { join } from 'node:path'
import { inject } from 'vitest'
import type { ProgramName } from './bundle-programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of what `bundlePrograms` has made. */
    programs: string
  }
}

/** A program as `node` takes it; what is compiled of it is kept beside it and goes with it. */
export type Program = { readonly path: string; readonly env: { readonly NODE_COMPILE_CACHE: string } }

/** One of the programs of the crash tests, or a job that is given to its `tidemark`. */
export function program(name: ProgramName): Program {
  const folder = inject('programs')
  return { path: join(folder, `${name}.js`), env: { NODE_COMPILE_CACHE: join(folder, 'compile-cache') } }
}
