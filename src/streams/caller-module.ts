import { getCallSites } from 'node:util'

/**
 * The module that called whoever calls this, as a URL: where threads and other processes find the job that is declared there. Undefined where it was
 * no module (a REPL, `--eval`).
 */
export function callerModule(): string | undefined {
  // This function, who calls it, and who called that.
  const script = getCallSites(3)[2]?.scriptName
  if (script?.startsWith('file://')) return script
  return script?.startsWith('/') ? new URL(`file://${script}`).href : undefined
}
