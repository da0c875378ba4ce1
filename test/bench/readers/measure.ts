/** What reading a topic once took. */
export type ReadResult = {
  readonly records: number
  readonly bytes: number
  readonly ms: number
  readonly cpuMs: number
  readonly peakRssMiB: number
}

/** Runs `read` twice, so that the code is warm, and measures the second time. It gives how many records it read and what their values weighed. */
export async function measureSecond(read: () => Promise<{ records: number; bytes: number }>): Promise<ReadResult> {
  await read()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { records, bytes } = await read()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { records, bytes, ms, cpuMs: (user + system) / 1000, peakRssMiB: process.resourceUsage().maxRSS / 1024 }
}
