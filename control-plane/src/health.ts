/** What the control plane answers without a token: health, version, the meaning of problem codes, the description and its reference. */
import { PROBLEMS, type ProblemCode, problemType } from "../../contracts/problem-codes.ts"
import { refuse } from "../../kit/problem.ts"
import type { Dependencies } from "./dependencies.ts"

const NO_STORE = { "cache-control": "no-store" }

/** Ready means that the registry answers: nothing can be read or changed without it. */
export async function answerReady(deps: Pick<Dependencies, "db" | "log">): Promise<Response> {
  try {
    await deps.db.prepare("SELECT seq FROM audit LIMIT 1").first()
    return Response.json({ status: "ok" }, { headers: NO_STORE })
  } catch (failure) {
    deps.log({ event: "ready.refused", error: String(failure) })
    return Response.json({ status: "not ready" }, { status: 503, headers: NO_STORE })
  }
}

export function answerAlive(): Response {
  return Response.json({ status: "ok" }, { headers: NO_STORE })
}

export function answerVersion({ settings }: Pick<Dependencies, "settings">): Response {
  const { environment, workerVersion } = settings
  return Response.json({ environment, workerVersion }, { headers: NO_STORE })
}

/** Throws `api.not-found` for a code that does not exist. */
export function describeProblem(code: string): Response {
  if (!isProblemCode(code)) throw refuse("api.not-found")
  const { status, title, fix } = PROBLEMS[code]
  return Response.json({ code, type: problemType(code), status, title, fix })
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code)
}
