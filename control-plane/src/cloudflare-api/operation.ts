/** What an operation of the door is: a function of a call whose token, account and namespace have been checked. Leaf types. */
import type { Actor } from "../actor.ts"
import type { Dependencies } from "../dependencies.ts"
import type { Answer } from "./envelope.ts"

export interface Call {
  readonly request: Request
  readonly url: URL
  readonly actor: Actor
  readonly deps: Dependencies
  /** A parameter of the path; empty when the path has none of that name. */
  readonly param: (name: string) => string
}

export type Handler = (call: Call) => Promise<Answer | Response> | Answer | Response
