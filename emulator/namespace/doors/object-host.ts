/**
 * Hosts one Durable Object of a user Worker: the object is a facet of this one, with the class that the user Worker exports and SQLite storage of its own,
 * so that it keeps its data across restarts and uploads. A new version of the code restarts the object, as a deploy does in production.
 */
import { DurableObject } from "cloudflare:workers"
import { type LocalEnv, namespaceOf } from "../local-isolate.ts"
import { OBJECT_HEADER, type ObjectAddress } from "./object-door.ts"

const FACET = "object"

export class ObjectHost extends DurableObject<LocalEnv> {
  /** Loader id of the code that the facet runs; null before its first use. */
  #running: string | null = null

  override async fetch(request: Request): Promise<Response> {
    const address = JSON.parse(request.headers.get(OBJECT_HEADER) ?? "null") as ObjectAddress
    const object = await this.#object(address)
    const outgoing = new Request(request)
    outgoing.headers.delete(OBJECT_HEADER)
    return object.fetch(outgoing)
  }

  async invoke(address: ObjectAddress, method: string, args: readonly unknown[]): Promise<unknown> {
    const object: unknown = await this.#object(address)
    const call: unknown = Reflect.get(object as object, method)
    return (call as (...args: readonly unknown[]) => unknown)(...args)
  }

  async #object({ namespace, script, className, parameters, id }: ObjectAddress): Promise<Fetcher> {
    const loaded = await namespaceOf(this.env, namespace).stubOf(script, parameters)
    if (this.#running !== null && this.#running !== loaded.id)
      this.ctx.facets.abort(FACET, new Error("Durable Object reset because its code was updated."))
    this.#running = loaded.id
    return this.ctx.facets.get(FACET, () => ({ class: loaded.stub.getDurableObjectClass(className), id }))
  }
}
