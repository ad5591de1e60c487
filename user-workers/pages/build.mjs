/**
 * `node build.mjs` makes public/ from web/: each folder with an index.html is an app, bundled by esbuild into files whose names hold the hash of their content.
 * public/ is kept in the repository, so that neither a deploy nor a test needs this; build.node.test.ts fails when it is not what this makes.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { build, transform } from "esbuild"

const ROOT = "/webclients"
/** The app at {@link ROOT} itself. Its files keep their names, because others link to them, and are asked for anew each time. */
const START = "start"
const IMMUTABLE = "public, max-age=31536000, immutable"

/** Empties `out` and fills it from `source`; absolute paths. Same sources, same files. */
export async function buildPages(source, out) {
  await rm(out, { recursive: true, force: true })
  const boot = (
    await transform(await readFile(path.join(source, "shared/boot.js"), "utf8"), { minify: true })
  ).code.trim()
  const rules = []
  const folders = await readdir(source, { withFileTypes: true })
  const apps = folders.filter((each) => each.isDirectory() && each.name !== "shared").map((each) => each.name)
  for (const app of apps.sort()) rules.push(...(await buildApp(app, boot, source, out)))
  await cp(path.join(source, "shared/icon.svg"), path.join(out, ROOT, "icon.svg"))
  await writeFile(path.join(out, "_headers"), `${rules.join("\n")}\n`)
}

/** Returns the app's lines of the `_headers` file. */
async function buildApp(app, boot, source, out) {
  const base = app === START ? ROOT : `${ROOT}/${app}`
  const assets = app === START ? base : `${base}/assets`
  const names = app === START ? "[name]" : "[name]-[hash]"
  const { metafile } = await build({
    absWorkingDir: source,
    entryPoints: [`${app}/app.js`, `${app}/app.css`],
    outdir: path.join(out, assets),
    entryNames: names,
    chunkNames: "chunk-[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    metafile: true,
    logLevel: "error",
  })
  const outputs = Object.entries(metafile.outputs)
  const addressOf = (file) => `${assets}/${path.basename(file)}`
  const entry = (source) => outputs.find(([, { entryPoint }]) => entryPoint === source)
  const [script, { imports }] = entry(`${app}/app.js`)
  const [style] = entry(`${app}/app.css`)
  // What the script imports at once would otherwise be asked for only when the script is there.
  const preloaded = imports.filter(({ kind }) => kind === "import-statement").map((each) => addressOf(each.path))
  // The attribute `nonce` is where a policy by nonce puts it; under another it says nothing.
  const head = [
    `<link rel="stylesheet" href="${addressOf(style)}" />`,
    ...preloaded.map((href) => `<link rel="modulepreload" href="${href}" nonce />`),
    `<script type="module" src="${addressOf(script)}" nonce></script>`,
  ]
  const page = (await readFile(path.join(source, app, "index.html"), "utf8"))
    .replace("<!-- head -->", () => head.join("\n    "))
    .replace("<!-- boot -->", () => `<script nonce>${boot}</script>`)
  await mkdir(path.join(out, base), { recursive: true })
  await writeFile(path.join(out, base, "index.html"), page)
  return [
    `${base}/index.html`,
    "  Cache-Control: no-cache",
    `  Link: <${addressOf(style)}>; rel=preload; as=style`,
    ...(app === START ? [] : [`${assets}/*`, `  Cache-Control: ${IMMUTABLE}`]),
  ]
}

if (process.argv[1] === import.meta.filename) {
  await buildPages(path.join(import.meta.dirname, "web"), path.join(import.meta.dirname, "public"))
}
