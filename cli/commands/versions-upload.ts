import { readdirSync, readFileSync, statSync } from "node:fs"
import { extname, join } from "node:path"
import type { Command } from "commander"
import { versionCreated } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, segment } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly main: string
  readonly compatibilityDate: string
  readonly compatibilityFlag?: readonly string[]
  readonly tag?: string
}

/** Content types by which Cloudflare's upload form tells modules apart. */
const MODULE_TYPES: Readonly<Record<string, string>> = {
  ".js": "application/javascript+module",
  ".mjs": "application/javascript+module",
  ".wasm": "application/wasm",
  ".txt": "text/plain",
  ".html": "text/plain",
  ".bin": "application/octet-stream",
}

/** Publishes without deploying. For bindings and static assets use wrangler, whose deploy goes the same way. */
export function versionsUpload(io: Io): Command {
  return changeCommandOf(
    "upload",
    "publish a built Worker as a version, without traffic",
    "versions upload files dist --main index.js --compatibility-date 2026-10-01 --tag 4f2c1d",
  )
    .argument("<script>")
    .argument("<folder>", "with the built modules, such as `wrangler deploy --dry-run --outdir` makes")
    .requiredOption("--main <module>", "the entry module's name in the folder")
    .requiredOption("--compatibility-date <date>", "YYYY-MM-DD")
    .option("--compatibility-flag <flag>", "repeatable", (flag: string, before: string[] = []) => [...before, flag])
    .option("--tag <tag>", "such as the commit")
    .action(async (script: string, folder: string, options: Options) => {
      const body = formOf(folder, options)
      const path = `/v1/scripts/${segment(script)}/versions`
      const { value } = await apiOf(io)
        .post(path, versionCreated, { body })
        .catch((thrown: unknown) => {
          throw isAbsent(thrown) ? unclaimed(script, thrown) : thrown
        })
      if (options.json) return printJson(io, value)
      const what = value.created ? "Published" : "The same content was published before, as"
      io.out(
        `${what} ${value.placedName}, ${value.state}. \`sallyport deployments create ${script} ${value.version}\` deploys it.\n`,
      )
    })
}

function isAbsent(thrown: unknown): thrown is Failure {
  return thrown instanceof Failure && thrown.details.code === "api.not-found"
}

/** `wrangler deploy` claims a name by itself; here a slip would be one. */
function unclaimed(script: string, { details }: Failure): Failure {
  return new Failure(`There is no script ${script}, or it is another team's`, {
    ...details,
    fix: `\`sallyport scripts set ${script}\` claims the name, for ops with --team; then upload again.`,
  })
}

function formOf(folder: string, options: Options): FormData {
  const modules = modulesIn(folder)
  const names = modules.map(({ name }) => name)
  if (!names.includes(options.main))
    throw new Failure(`There is no ${options.main} in ${folder}`, {
      why: names.length === 0 ? "It holds no modules." : `It holds ${names.slice(0, 10).join(", ")}.`,
      fix: "Build first, for example `wrangler deploy --dry-run --outdir dist`, and name the entry with --main.",
    })
  const { message, tag } = options
  const metadata = {
    main_module: options.main,
    compatibility_date: options.compatibilityDate,
    ...(options.compatibilityFlag === undefined ? {} : { compatibility_flags: options.compatibilityFlag }),
    annotations: {
      ...(message === undefined ? {} : { "workers/message": message }),
      ...(tag === undefined ? {} : { "workers/tag": tag }),
    },
  }
  const form = new FormData()
  form.append("metadata", JSON.stringify(metadata))
  for (const { name, bytes } of modules) {
    const type = MODULE_TYPES[extname(name)] ?? ""
    form.append(name, new File([bytes], name, { type }))
  }
  return form
}

/** Under names with `/`, sorted; source maps and what wrangler leaves beside the modules are not among them. */
function modulesIn(folder: string): { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }[] {
  try {
    return readdirSync(folder, { recursive: true })
      .map((name) => String(name).replaceAll("\\", "/"))
      .filter((name) => MODULE_TYPES[extname(name)] !== undefined && statSync(join(folder, name)).isFile())
      .sort()
      .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
  } catch (thrown) {
    throw new Failure(`Cannot read the folder ${folder}`, {
      ...(thrown instanceof Error ? { why: thrown.message } : {}),
      fix: "Give the folder that holds the built modules.",
    })
  }
}
