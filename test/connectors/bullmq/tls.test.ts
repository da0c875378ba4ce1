import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { bullmq, lookAtJob } from '../../../connectors/bullmq/index.ts'
import { TidemarkProcess, tidemark } from '../../src/cli/tidemark-process.ts'
import { runProgram } from '../../support/services/run-program.ts'
import { serveTls } from '../../support/services/serve-tls.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { DriverWorld, groups, runAll } from './driver-world.ts'

const jobPath = fileURLToPath(new URL('./driver-job.ts', import.meta.url))

/** An authority of its own, and the certificate of a server and client that it signed. */
async function makeCertificates() {
  const folder = temporaryFolder()
  const path = (name: string) => join(folder, name)
  const [ca, caKey, cert, key, request] = [path('ca.pem'), path('ca.key'), path('cert.pem'), path('key.pem'), path('request.pem')]
  const openssl = (...args: string[]) => runProgram('openssl', args)
  const rsa = ['-newkey', 'rsa:2048', '-nodes']
  await openssl('req', '-x509', ...rsa, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', '/CN=an authority')
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  await openssl('req', ...rsa, '-keyout', key, '-out', request, ...name)
  await openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-out', cert, '-days', '2', '-copy_extensions', 'copy')
  return { ca, cert, key }
}

test('driver, executor and status meet behind TLS with an authority of its own, which asks for a certificate, as a user with few rights', async () => {
  const files = await makeCertificates()
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map(path => readFile(path, 'utf8')))
  const tls = { ca, cert, key }
  const admin = new DriverWorld()
  const user = `${admin.prefix}-few`
  await admin.redis.call('ACL', 'SETUSER', user, 'on', '>word', `~{${admin.prefix}:*`, '+@all', '-@admin', '-@dangerous', '+info')
  onTestFinished(async () => void (await admin.redis.call('ACL', 'DELUSER', user)))
  const front = await serveTls(admin.url, { ...tls, requestCert: true, rejectUnauthorized: true })
  onTestFinished(() => void front.close())
  const url = `rediss://${user}:word@localhost:${(front.address() as AddressInfo).port}`
  const { prefix } = admin

  const named = `${url}?${new URLSearchParams({ prefix, ...files })}`
  const executor = new TidemarkProcess(['executor', jobPath, '--threads', '1', '--executors', named])
  await waitUntil('the executor is there', async () => (await lookAtJob({ url, tls, prefix }, 'fleet')).executors.length === 1)
  const run = await admin.driver({ url, tls })
  expect(await runAll(run, groups(5))).toHaveLength(5)
  const { code, stdout } = await tidemark(['status', jobPath, '--executors', named])
  expect(code).toBe(0)
  expect(stdout).toMatch(/ ready\n\ndriver of .*\nfleet /)
  executor.signal('SIGTERM')
  expect(await executor.ended).toMatchObject({ code: 0 })

  const stranger = lookAtJob({ url, prefix }, 'fleet')
  await expect(stranger).rejects.toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(/over TLS: .*NODE_EXTRA_CA_CERTS/) })
})

test('certificates that nothing would use, and one without its key, are refused', () => {
  expect(() => bullmq({ url: 'redis://localhost', tls: { ca: 'an authority' } })).toThrow(
    /tls.*a redis: URL has no certificates: write rediss:/,
  )
  expect(() => bullmq({ url: 'rediss://localhost', tls: { cert: 'a certificate' } })).toThrow(/tls.*expected cert and key together/)
})
