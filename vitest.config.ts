import { defineConfig } from 'vitest/config'

// Tests import sources, and so does everything they import by the package's own name. Not with `import`: the workers would be given it for
// `require` too, and a package of both kinds would be loaded as the wrong one.
const resolve = { conditions: ['tidemark-source', 'node'] }
const ssr = { resolve }

/** Tests that need Postgres, Redis or ZooKeeper. */
const WITH_SERVICES = ['test/offsets/{postgres,redis,zookeeper}/**/*.test.ts', 'test/connectors/{postgres,redis,bullmq}/**/*.test.ts']
/** Tests that need Kafka, some of them all four. */
const WITH_KAFKA = [
  'test/{integration,crash,package,examples}/**/*.test.ts',
  'test/offsets/kafka/**/*.test.ts',
  'test/connectors/kafka/{sink,also-commit}/**/*.test.ts',
]

/**
 * Files that run side by side, of all projects together. Left to its default, the number of a project differs from the others' and vitest refuses to run,
 * and where it is 1, on two cores, its files wait for each other. One more than two cores have, for some test always waits for a server, a lease or a process.
 */
const WORKERS = 3

// What needs real servers has a second attempt, which `scripts/test-counts.ts` judges.
export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['test/{src,connectors,offsets,scripts,property,architecture,types,formats,docs}/**/*.test.ts'],
          exclude: [...WITH_SERVICES, ...WITH_KAFKA],
          pool: 'forks',
          maxWorkers: WORKERS,
          testTimeout: 30_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'services',
          include: WITH_SERVICES,
          globalSetup: ['test/support/services-global-setup.ts'],
          pool: 'forks',
          maxWorkers: WORKERS,
          retry: 1,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'kafka',
          include: WITH_KAFKA,
          globalSetup: [
            'test/support/kafka-global-setup.ts',
            'test/support/services-global-setup.ts',
            'test/support/programs-global-setup.ts',
          ],
          pool: 'forks',
          maxWorkers: WORKERS,
          retry: 1,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
