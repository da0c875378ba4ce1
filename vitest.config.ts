import { defineConfig } from 'vitest/config'

// Tests import sources, and so does everything they import by the package's own name.
const resolve = { conditions: ['tidemark-source', 'node', 'import', 'default'] }
const ssr = { resolve }

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['test/{src,connectors,offsets,scripts,property,architecture,types,formats,docs}/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 30_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'kafka',
          include: ['test/{integration,crash,package}/**/*.test.ts'],
          globalSetup: ['test/support/kafka-global-setup.ts'],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
