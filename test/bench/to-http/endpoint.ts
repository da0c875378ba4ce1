/** An endpoint in a process of its own: counts the lines it is sent and adds up what a row's id is, so that a row which lacks or comes twice shows. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What it has had since it was asked last. */
export type EndpointCounts = { readonly requests: number; readonly rows: number; readonly idSum: number }

let counts: EndpointCounts = { requests: 0, rows: 0, idSum: 0 }

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(counts))
    counts = { requests: 0, rows: 0, idSum: 0 }
    return
  }
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const ids = Array.from(
      Buffer.concat(chunks)
        .toString()
        .matchAll(/^\{"id":(\d+),/gm),
      ([, id]) => Number(id),
    )
    counts = { requests: counts.requests + 1, rows: counts.rows + ids.length, idSum: counts.idSum + ids.reduce((sum, id) => sum + id, 0) }
    response.end()
  })
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`))
// With whoever started it.
process.on('disconnect', () => process.exit())
