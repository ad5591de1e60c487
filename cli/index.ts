/** The command line's entry on a Node that runs TypeScript; sallyport.mjs leads here from an older one. */
import { processIo } from "./io.ts"
import { main } from "./main.ts"

// Whoever reads may have seen enough, as `head` does: that is no failure of ours.
process.stdout.on("error", (failure: NodeJS.ErrnoException) => {
  if (failure.code !== "EPIPE") throw failure
  process.exit(0)
})

process.exitCode = await main(process.argv.slice(2), processIo())
