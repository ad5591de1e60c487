import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import type { Command } from "commander"
import { isScriptName } from "../../contracts/script-name.ts"
import { type CommonOptions, commandOf } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends CommonOptions {
  readonly dir?: string
}

const CHECKOUT = dirname(dirname(import.meta.dirname))
const TEMPLATE = join(dirname(import.meta.dirname), "template")
const SUFFIX = ".template"
/** Only outside the checkout: inside, the checkout's own package is the one that `sallyport/…` names. */
const PACKAGE = "package.json"

/** Writes files and talks to nobody. */
export function init(io: Io): Command {
  return commandOf(
    "init",
    "write a new Worker with its test, ready for the local platform",
    "init hello --dir user-workers/hello",
  )
    .argument("<name>", "of the script: a–z, 0–9 and single dashes, at most 48, beginning with a letter")
    .option("--dir <folder>", "where to write it; default ./<name>")
    .action((name: string, options: Options) => {
      if (!isScriptName(name))
        throw new Failure(`${JSON.stringify(name)} cannot be a script's name`, {
          why: "A name is 1–48 of a–z, 0–9 and single dashes, begins with a letter, and does not begin with sallyport.",
          fix: "Choose another, such as `sallyport init hello`.",
        })
      const folder = resolve(options.dir ?? name)
      const written = write(folder, filesFor(name, folder))
      const shown = relative(process.cwd(), folder) || "."
      if (options.json) return printJson(io, { name, folder, files: written })
      const install = written.includes(PACKAGE) ? "npm install && " : ""
      io.out(`Wrote ${written.join(", ")} to ${shown}\n`)
      io.out(
        `\n  cd ${shown} && ${install}npx vitest run\n\ntests it on the whole platform; its README says how to deploy it.\n`,
      )
    })
}

function filesFor(name: string, folder: string): ReadonlyMap<string, string> {
  const fromCheckout = relative(CHECKOUT, folder)
  const isInside =
    fromCheckout !== ".." && !/^\.\.[\\/]/.test(fromCheckout) && resolve(CHECKOUT, fromCheckout) === folder
  const { devDependencies } = JSON.parse(readFileSync(join(CHECKOUT, PACKAGE), "utf8")) as {
    devDependencies: Readonly<Record<string, string>>
  }
  const values: Readonly<Record<string, string | undefined>> = {
    name,
    install: isInside ? "" : "npm install\n",
    checkout: relative(folder, CHECKOUT).replaceAll("\\", "/"),
    vitest: devDependencies.vitest,
    wrangler: devDependencies.wrangler,
  }
  const names = readdirSync(TEMPLATE).map((file) => file.slice(0, -SUFFIX.length))
  return new Map(
    names
      .filter((file) => file !== PACKAGE || !isInside)
      .sort()
      .map((file) => [file, filled(readFileSync(join(TEMPLATE, file + SUFFIX), "utf8"), values)]),
  )
}

function filled(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replaceAll(/\{\{([a-z]+)\}\}/g, (_mark, key: string) => {
    const value = values[key]
    if (value === undefined) throw new Error(`The template asks for ${key}`)
    return value
  })
}

/** All or nothing, as far as files that are there go: `wx` makes none anew, and a folder with anything in it is left alone. */
function write(folder: string, files: ReadonlyMap<string, string>): string[] {
  if (existsSync(folder) && !isEmptyFolder(folder))
    throw new Failure(`${folder} is not empty`, {
      why: "Nothing is overwritten.",
      fix: "Name an empty or a new folder with --dir.",
    })
  try {
    mkdirSync(folder, { recursive: true })
    for (const [file, text] of files) writeFileSync(join(folder, file), text, { flag: "wx" })
  } catch (cause) {
    throw new Failure(`Cannot write to ${folder}`, {
      why: cause instanceof Error ? cause.message : "unknown",
      fix: "Name a folder that you may write to with --dir.",
    })
  }
  return [...files.keys()]
}

function isEmptyFolder(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0
  } catch {
    return false
  }
}
