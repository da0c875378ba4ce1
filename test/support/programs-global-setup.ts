import type { TestProject } from 'vitest/node'
import { bundlePrograms } from './programs/bundle-programs.ts'
import type {} from './programs/program.ts'

/** Makes the programs that crash tests start again and again, and removes them after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const bundle = await bundlePrograms()
  project.provide('programs', bundle.folder)
  return async () => bundle[Symbol.asyncDispose]()
}
