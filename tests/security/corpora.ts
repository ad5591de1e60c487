/** Suites that others wrote, in the folder that SALLYPORT_CORPORA names, from the repository's root, and never committed. */
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

const CORPORA = path.resolve(import.meta.dirname, "../..", process.env.SALLYPORT_CORPORA ?? "../shared/corpora")

/** The text of a corpus; null, and said so, where it is absent. */
export function readCorpus(file: string): string | null {
  const name = path.join(CORPORA, file)
  if (existsSync(name)) return readFileSync(name, "utf8")
  process.stderr.write(`SKIPPED: there is no ${name}; SALLYPORT_CORPORA names the folder of corpora\n`)
  return null
}
