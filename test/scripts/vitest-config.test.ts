import { expect, test } from 'vitest'
import config from '../../vitest.config.ts'

test('all projects take as many files at a time, whatever the machine has: with different numbers vitest runs none of them', () => {
  const workers = config.test?.projects?.map(project =>
    typeof project === 'object' && 'test' in project ? project.test?.maxWorkers : undefined,
  )
  expect(workers).toHaveLength(3)
  expect(new Set(workers)).toEqual(new Set([expect.any(Number)]))
})
