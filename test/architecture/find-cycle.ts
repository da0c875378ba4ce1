/** A cycle of a graph as the names along it, the first again at the end; undefined where there is none. Depth first, each node once. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []

  function visit(node: string): string[] | undefined {
    if (done.has(node)) return undefined
    const before = path.indexOf(node)
    if (before >= 0) return [...path.slice(before), node]
    path.push(node)
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(node)
    return undefined
  }

  for (const node of graph.keys()) {
    const cycle = visit(node)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
