import { join } from 'node:path'
import { inject } from 'vitest'
import type { ProgramName } from './bundle-programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of what `bundlePrograms` has made; of the project `kafka` only, where processes are started by the hundred. */
    programs: string | undefined
  }
}

/** A program as `node` takes it; what is compiled of it is kept beside it and goes with it. */
export type Program = { readonly path: string; readonly env: { readonly NODE_COMPILE_CACHE: string } }

/** Whether the tests of this project have programs; those of the others run the sources. */
export function hasPrograms(): boolean {
  return inject('programs') !== undefined
}

/** One of the programs, or a job or a module that jobs import. @throws Error in a project that has none */
export function program(name: ProgramName): Program {
  const folder = inject('programs')
  if (folder === undefined)
    throw new Error(`There is no program ${name}: vitest.config.ts names test/support/programs-global-setup.ts for kafka only.`)
  return { path: join(folder, `${name}.js`), env: { NODE_COMPILE_CACHE: join(folder, 'compile-cache') } }
}
