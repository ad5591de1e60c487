/** The command line's entry on a Node that runs TypeScript; sallyport.mjs leads here from an older one. */
import { processIo } from "./io.ts"
import { main } from "./main.ts"

process.exitCode = await main(process.argv.slice(2), processIo())
