/**
 * Every Worker's wrangler.toml says what its env.ts says, in every environment: wrangler does not inherit bindings,
 * so one forgotten in staging is found only there. A member whose comment begins with "Secret" is set by hand and stands in the
 * file's `# Secrets:` line instead.
 */
import { posix } from "node:path"
import { parseSync } from "oxc-parser"
import { describe, expect, it } from "vitest"
import { experimental_readRawConfig, unstable_readConfig } from "wrangler"
import { ROOT, read, trackedFiles } from "./boundaries/tracked-files.ts"

interface Member {
  readonly name: string
  readonly secret: boolean
}

const workers = trackedFiles(
  "wrangler.toml",
  "outbound/wrangler.toml",
  "control-plane/wrangler.toml",
  "revocations/wrangler.toml",
).map((config) => {
  const source = config === "wrangler.toml" ? "dispatcher/src" : posix.join(posix.dirname(config), "src")
  // A Worker of few files declares its Env in index.ts.
  const [env = `${source}/index.ts`] = trackedFiles(`${source}/env.ts`)
  return { config, env }
})

describe.each(workers)("$config", ({ config, env }) => {
  const all = membersOf(env, read(env))
  const members = all.filter((each) => !isParameter(each.name))
  const { rawConfig } = experimental_readRawConfig({ config: ROOT + config })
  const environments = [undefined, ...Object.keys(rawConfig.env ?? {})]

  it.each(environments)("binds exactly what env.ts declares, in environment %s", (environment) => {
    const declared = members.filter((each) => !each.secret).map((each) => each.name)
    expect(bindingsOf(config, environment).toSorted()).toEqual(declared.toSorted())
  })

  it("names the secrets to set", () => {
    const line = /^# Secrets: (.*?)\.?$/m.exec(read(config))?.[1] ?? ""
    const named = line.split(/[\s,]+/).filter((word) => /^[A-Z][A-Z0-9_]+$/.test(word))
    expect(named.toSorted()).toEqual(
      members
        .filter((each) => each.secret)
        .map((each) => each.name)
        .toSorted(),
    )
  })

  it("has the four environments, each with a Worker of its own", () => {
    const names = environments.map((environment) => readConfig(config, environment).name)
    expect(environments.slice(1).toSorted()).toEqual(["monthly", "sandbox", "staging"])
    expect(new Set(names).size).toBe(4)
    expect(names.filter((name) => !name?.startsWith("sallyport-"))).toEqual([])
  })
})

it("hands the outbound Worker the parameters that it declares, in every environment", () => {
  const declared = membersOf("outbound/src/index.ts", read("outbound/src/index.ts")).map((each) => each.name)
  for (const environment of [undefined, "staging", "sandbox", "monthly"]) {
    const [namespace] = readConfig("wrangler.toml", environment).dispatch_namespaces
    expect(namespace?.outbound?.parameters).toEqual(declared.filter(isParameter))
    expect(namespace?.outbound?.service).toBe(readConfig("outbound/wrangler.toml", environment).name)
  }
})

it("tells the control plane the names of the dispatcher and of its outbound Worker, in every environment", () => {
  for (const environment of [undefined, "staging", "sandbox", "monthly"]) {
    const { vars } = readConfig("control-plane/wrangler.toml", environment)
    const dispatcher = readConfig("wrangler.toml", environment)
    const [namespace] = dispatcher.dispatch_namespaces
    expect(vars).toMatchObject({
      DISPATCHER_SERVICE: dispatcher.name,
      OUTBOUND_SERVICE: namespace?.outbound?.service,
      DISPATCH_NAMESPACE: namespace?.namespace,
    })
  }
})

describe("the comparison", () => {
  it("reads names and secrets of an Env", () => {
    const source = `export interface Env {
      readonly KV: KVNamespace
      /** Secret: a key. */
      readonly KEY: string
      readonly META?: WorkerVersionMetadata
    }`
    expect(membersOf("env.ts", source)).toEqual([
      { name: "KV", secret: false },
      { name: "KEY", secret: true },
      { name: "META", secret: false },
    ])
  })

  it("finds a binding of every kind that a wrangler.toml here uses", () => {
    for (const { config } of workers)
      for (const text of read(config).matchAll(/\b(?:binding|name) = "([A-Z][A-Z0-9_]*)"/g))
        expect(bindingsOf(config, undefined)).toContain(text[1])
  })
})

function readConfig(config: string, environment: string | undefined) {
  return unstable_readConfig({
    config: ROOT + config,
    ...(environment === undefined ? {} : { env: environment }),
  })
}

/** Names of all bindings and vars, found by shape: any object with a `binding`, or a `name` in capitals. */
function bindingsOf(config: string, environment: string | undefined): string[] {
  const resolved = readConfig(config, environment)
  const found = Object.keys(resolved.vars)
  const visit = (value: unknown) => {
    if (Array.isArray(value)) for (const each of value) visit(each)
    else if (typeof value === "object" && value !== null) {
      const { binding, name } = value as Record<string, unknown>
      if (typeof binding === "string") found.push(binding)
      else if (typeof name === "string" && /^[A-Z][A-Z0-9_]*$/.test(name)) found.push(name)
      for (const each of Object.values(value)) visit(each)
    }
  }
  const { vars: _vars, ...rest } = resolved
  for (const value of Object.values(rest)) visit(value)
  return [...new Set(found)]
}

/** Bindings are in capitals; a name in small letters arrives with each dispatch. */
function isParameter(name: string): boolean {
  return name !== name.toUpperCase()
}

function membersOf(file: string, source: string): Member[] {
  const { program, comments } = parseSync(file, source)
  const declaration = program.body
    .map((each) => (each.type === "ExportNamedDeclaration" ? each.declaration : each))
    .find((each) => each?.type === "TSInterfaceDeclaration" && each.id.name === "Env")
  if (declaration?.type !== "TSInterfaceDeclaration") throw new Error(`${file} declares no interface Env`)
  return declaration.body.body.flatMap((member) => {
    if (member.type !== "TSPropertySignature" || member.key.type !== "Identifier") return []
    const before = comments.findLast((comment) => comment.end <= member.start)
    const own = before !== undefined && source.slice(before.end, member.start).trim() === ""
    return [
      {
        name: member.key.name,
        secret: own && /^[*\s]*Secret\b/.test(before.value),
      },
    ]
  })
}
