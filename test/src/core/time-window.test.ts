import { describe, expect, test } from 'vitest'
import { keepWithin, type TimeWindow } from '../../../src/core/time-window.ts'

async function* arrays(...given: readonly (readonly unknown[])[]) {
  yield* given
}

async function keep(window: TimeWindow, ...given: readonly (readonly unknown[])[]) {
  const outside: number[] = []
  const kept = await Array.fromAsync(keepWithin(arrays(...given), window, { name: 'orders' }, count => outside.push(count)))
  return { kept, outside }
}

const at = (timestamp: number) => ({ timestamp })

describe('records by their timestamps', () => {
  test('are kept from the first moment on and before the last, in their order', async () => {
    const { kept, outside } = await keep({ from: 10, until: 20 }, [at(9), at(19), at(10), at(20)], [at(3)], [at(15)])
    expect(kept).toEqual([[at(19), at(10)], [at(15)]])
    expect(outside).toEqual([2, 1])
  })

  test('are bounded on one side only where the other says nothing', async () => {
    expect(await keep({ until: 20 }, [at(-5), at(20)])).toEqual({ kept: [[at(-5)]], outside: [1] })
    expect(await keep({ from: 10 }, [at(9), at(1e15)])).toEqual({ kept: [[at(1e15)]], outside: [1] })
  })

  test('stay in the array they came in where all of them count', async () => {
    const array = [at(1), at(2)]
    const { kept, outside } = await keep({ from: 0 }, array)
    expect(kept[0]).toBe(array)
    expect(outside).toEqual([])
  })

  test.each([[{ offset: 1 }], ['text'], [null]])('cannot be chosen where there is none: %j', async row => {
    await expect(keep({ from: 0 }, [row])).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('orders have no timestamp'),
    })
  })
})
