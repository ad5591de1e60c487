/** The door to the objects of one Durable Object class: finds the host of an object and hands the call on. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ObjectProps } from "../doors.ts"
import type { LocalEnv } from "../local-isolate.ts"
import type { ObjectHost } from "./object-host.ts"

/** Whom a call is for; travels from the door to the host. */
export interface ObjectAddress extends ObjectProps {
  /** 64 hex digits. */
  readonly id: string
  readonly name: string | null
}

/** From the client (clients/objects-client.ts) the object's id and name; from here to the host the whole address. */
export const OBJECT_HEADER = "x-sallyport-object"

export class ObjectDoor extends WorkerEntrypoint<LocalEnv, ObjectProps> {
  override async fetch(request: Request): Promise<Response> {
    const [id, name] = JSON.parse(request.headers.get(OBJECT_HEADER) ?? "[]") as [string?, (string | null)?]
    const address = this.#address(id ?? "", name ?? null)
    const outgoing = new Request(request)
    outgoing.headers.set(OBJECT_HEADER, JSON.stringify(address))
    return this.#host(address).fetch(outgoing)
  }

  async invoke(id: string, name: string | null, method: string, args: readonly unknown[]): Promise<unknown> {
    const address = this.#address(id, name)
    return this.#host(address).invoke(address, method, args)
  }

  #address(id: string, name: string | null): ObjectAddress {
    return { ...this.ctx.props, id, name }
  }

  #host({ namespace, script, className, id }: ObjectAddress): DurableObjectStub<ObjectHost> {
    const objects = this.env.OBJECTS as DurableObjectNamespace<ObjectHost>
    return objects.get(objects.idFromName(JSON.stringify([namespace, script, className, id])))
  }
}
