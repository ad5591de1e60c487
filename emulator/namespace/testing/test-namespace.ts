/** The namespace under test: that of this isolate, over the tests' store. */
import { env } from "cloudflare:workers"
import { type LocalEnv, namespaceOf } from "../local-isolate.ts"
import { type TestScript, upload } from "./test-store.ts"

export const namespace = namespaceOf(env as unknown as LocalEnv, "production")

let counter = 0

/** Uploads under a name of its own, and gives the name. */
export async function uploaded(script: TestScript | string): Promise<string> {
  const name = `script-${++counter}`
  await upload(name, typeof script === "string" ? { code: script } : script)
  return name
}

/** Dispatches as the dispatcher does. */
export function dispatch(
  name: string,
  request: Request | string = "http://api.procore.com/",
  options?: DynamicDispatchOptions,
): Promise<Response> {
  return namespace.get(name, {}, options).fetch(request as Request)
}

/** Text of the answer of a new script. */
export async function answerOf(script: TestScript | string, request?: Request | string): Promise<string> {
  return (await dispatch(await uploaded(script), request)).text()
}
