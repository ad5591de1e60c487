/**
 * Makes web/dist: the API reference as static assets, from web/reference and the swagger-ui-dist package.
 * Run by wrangler before it bundles the control plane (`[build]` in wrangler.toml). Nothing of it comes from the network. What is there already stays untouched: another process may be reading it.
 */
import { copyFile, mkdir, readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import path from "node:path"

const web = import.meta.dirname
const renderer = path.dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"))
const target = path.join(web, "dist", "docs")

await mkdir(target, { recursive: true })
for (const file of ["index.html", "show-reference.js"])
  await copyChanged(path.join(web, "reference", file), path.join(target, file))
for (const file of ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "favicon-32x32.png"])
  await copyChanged(path.join(renderer, file), path.join(target, file))

async function copyChanged(from, to) {
  const there = await readFile(to).catch(() => null)
  if (!there?.equals(await readFile(from))) await copyFile(from, to)
}
