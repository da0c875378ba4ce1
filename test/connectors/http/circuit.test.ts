import { describe, expect, test } from 'vitest'
import { Circuit } from '../../../connectors/http/circuit.ts'
import { retryAfterOf } from '../../../src/core/errors.ts'
import { ManualClock } from '../../../src/testing/index.ts'

function open() {
  const clock = new ManualClock()
  const circuit = new Circuit({ breakAfter: 3, probeEveryMs: 4_000, clock, endpoint: 'https://api.test' })
  const fail = (times: number) => {
    for (let at = 0; at < times; at++) circuit.failed(circuit.enter(), '503')
  }
  return { clock, circuit, fail }
}

/** How long a request is to wait; undefined where it may go. */
function retryAfter(circuit: Circuit): number | undefined {
  try {
    circuit.check()
    return undefined
  } catch (error) {
    return retryAfterOf(error)
  }
}

describe('the circuit of an endpoint', () => {
  test('opens after so many failures in a row, and not for as many with an answer between them', () => {
    const { circuit, fail } = open()
    fail(2)
    circuit.succeeded(circuit.enter())
    fail(2)
    expect(retryAfter(circuit)).toBeUndefined()
    fail(1)
    expect(retryAfter(circuit)).toBe(500)
    expect(() => circuit.enter()).toThrow(
      'https://api.test is away: 503. Tasks wait, and nothing is lost; one request now and then asks whether it is back.',
    )
  })

  test('lets one request through when the time is over, and nobody beside it', async () => {
    const { clock, circuit, fail } = open()
    fail(3)
    await clock.advance(499)
    expect(retryAfter(circuit)).toBe(1)
    await clock.advance(1)
    const probe = circuit.enter()
    expect(probe.isProbe).toBe(true)
    expect(retryAfter(circuit)).toBe(500)
    circuit.failed(probe, '502')
    expect(() => circuit.enter()).toThrow('is away: 502')
    await clock.advance(1_000)
    circuit.succeeded(circuit.enter())
    expect(circuit.enter().isProbe).toBe(false)
    fail(2)
    expect(retryAfter(circuit)).toBeUndefined()
  })

  test('asks at growing intervals, up to the longest, and begins anew when the endpoint was there', async () => {
    const { clock, circuit, fail } = open()
    fail(3)
    const pauses: number[] = []
    for (let at = 0; at < 6; at++) {
      const pause = retryAfter(circuit) ?? 0
      pauses.push(pause)
      await clock.advance(pause)
      circuit.failed(circuit.enter(), '503')
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 4_000, 4_000])
    await clock.advance(4_000)
    circuit.succeeded(circuit.enter())
    fail(3)
    expect(retryAfter(circuit)).toBe(500)
  })

  test('a probe that was aborted leaves its place to the next', async () => {
    const { clock, circuit, fail } = open()
    fail(3)
    await clock.advance(500)
    circuit.left(circuit.enter())
    expect(circuit.enter().isProbe).toBe(true)
  })

  test('a request from before it opened closes it when it is answered', () => {
    const { circuit, fail } = open()
    const early = circuit.enter()
    fail(3)
    circuit.succeeded(early)
    expect(retryAfter(circuit)).toBeUndefined()
  })

  test('a late failure of a request from before neither takes the place of the probe nor makes the pauses longer', async () => {
    const { clock, circuit, fail } = open()
    const early = [circuit.enter(), circuit.enter()] as const
    fail(3)
    circuit.failed(early[0], 'late')
    expect(retryAfter(circuit)).toBe(500)
    await clock.advance(500)
    const probe = circuit.enter()
    circuit.failed(early[1], 'late')
    await clock.advance(500)
    expect(retryAfter(circuit)).toBe(500)
    circuit.succeeded(probe)
    expect(retryAfter(circuit)).toBeUndefined()
  })

  test('opens at once for an endpoint that says how long it wants to be left alone, up to five minutes', async () => {
    const { clock, circuit } = open()
    circuit.failed(circuit.enter(), '429', 60_000)
    expect(retryAfter(circuit)).toBe(60_000)
    await clock.advance(60_000)
    circuit.failed(circuit.enter(), '429', 86_400_000)
    expect(retryAfter(circuit)).toBe(300_000)
  })
})
