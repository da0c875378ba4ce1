// Every entry point as it is built: `npm run check` compiles this file with `skipLibCheck` off, so that a declaration that does not compile in
// a user's project, or names a type of a package the user does not have, is found here.

export * as tidemark from 'tidemark'
export * as console from 'tidemark/console'
export * as files from 'tidemark/files'
export * as kafka from 'tidemark/kafka'
export * as memory from 'tidemark/offsets/memory'
export * as sqlite from 'tidemark/offsets/sqlite'
export * as testing from 'tidemark/testing'
