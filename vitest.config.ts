import { defineConfig } from 'vitest/config'

/** Suites on real servers (test/brokers, test/scenarios) share two cores: one file at a time. The pure ones run side by side. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'pure',
          include: ['test/**/*.test.ts'],
          exclude: ['test/brokers/**', 'test/scenarios/**'],
          maxWorkers: 2,
          // Properties and a browser take longer on a machine that is busy.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'brokers',
          include: ['test/brokers/**/*.test.ts', 'test/scenarios/**/*.test.ts'],
          globalSetup: ['test/stack/global-setup.ts'],
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
