/**
 * Writes namespace/clients.generated.ts: the files of namespace/clients/ as text, types stripped, because they run inside user Workers
 * and not in the bundle that carries them. Run it after a change there: `node emulator/generate-clients.ts`. A test fails while the two differ.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"

const FOLDER = new URL("./namespace/clients/", import.meta.url)
const TARGET = new URL("./namespace/clients.generated.ts", import.meta.url)
/** Not part of a user Worker: tests, and files of types alone. */
const isLeftOut = (name: string) => /\.test\.ts$|^plan\.ts$/.test(name)

/** The text that clients.generated.ts must have. */
export function generateClients(): string {
  const modules = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".ts") && !isLeftOut(name))
    .sort()
    .map((name) => [name, withoutTypes(readFileSync(new URL(name, FOLDER), "utf8"))])
  return `/** Made by emulator/generate-clients.ts from the files of clients/: edit those. */
export const CLIENT_MODULES: Readonly<Record<string, string>> = ${JSON.stringify(Object.fromEntries(modules), null, 2)}
`
}

/** Head comments, and the blanks that types leave behind, are of no use in a user Worker. */
function withoutTypes(source: string): string {
  return stripTypeScriptTypes(source, { mode: "strip" })
    .replace(/^\/\*\*[\s\S]*?\*\/\n/, "")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{2,}/g, "\n")
}

if (process.argv[1] === import.meta.filename) writeFileSync(TARGET, generateClients())
