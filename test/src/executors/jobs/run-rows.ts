import { threads } from 'tidemark'
import job, { gathered } from './rows.ts'

// A program that runs a job in threads, and then has nothing left to do.
console.log('main')
const run = await job.start({ executor: threads({ size: 2 }), until: 'latest' })
const { batches, records } = await run.done
console.log(JSON.stringify({ batches, records, gathered: gathered.length }))
