/**
 * Makes web/dist: the API reference as static assets, from web/reference and the swagger-ui-dist package.
 * Run by wrangler before it bundles the control plane (`[build]` in wrangler.toml). Nothing of it comes from the network. Copies over what is there: another process may be serving it.
 */
import { copyFile, mkdir } from "node:fs/promises"
import { createRequire } from "node:module"
import path from "node:path"

const web = import.meta.dirname
const renderer = path.dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"))
const target = path.join(web, "dist", "docs")

await mkdir(target, { recursive: true })
for (const file of ["index.html", "show-reference.js"])
  await copyFile(path.join(web, "reference", file), path.join(target, file))
for (const file of ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "favicon-32x32.png"])
  await copyFile(path.join(renderer, file), path.join(target, file))
