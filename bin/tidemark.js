#!/usr/bin/env node
// Plain JavaScript that an old Node can read, so that the first thing a user sees there is this sentence and not a syntax error.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `tidemark needs Node 24 or newer, and this is ${process.version}. In a project, npm install --save-dev node@24 brings one that npx tidemark finds.`,
  )
  process.exit(2)
}
const { main } = await import('../dist/src/cli/main.js').catch(error => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  console.error(`tidemark is not built: run npm run build in its folder. (${error.message})`)
  process.exit(2)
})
await main(process.argv)
