/** The door to one KV namespace, R2 bucket, D1 database or queue: passes on the operations of its kind, for the id in its props and no other. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ResourceProps } from "../doors.ts"
import type { LocalEnv } from "../local-isolate.ts"

const METHODS: Readonly<Record<ResourceProps["kind"], ReadonlySet<string>>> = {
  kv: new Set(["kvGet", "kvPut", "kvDelete", "kvList"]),
  r2: new Set(["r2Head", "r2Get", "r2Put", "r2Delete", "r2List"]),
  d1: new Set(["d1Batch", "d1Exec"]),
  queue: new Set(["queueSend"]),
}

type Operation = (id: string, ...args: readonly unknown[]) => Promise<unknown>

export class ResourceDoor extends WorkerEntrypoint<LocalEnv, ResourceProps> {
  /** `method` is one of emulator/cloudflare-api/resources.ts; `args` are what follows the id. */
  async call(method: string, args: readonly unknown[]): Promise<unknown> {
    const { kind, id } = this.ctx.props
    if (!METHODS[kind].has(method)) throw new TypeError(`A ${kind} binding has no operation ${method}.`)
    const operation = this.env.RESOURCES[method as keyof LocalEnv["RESOURCES"]] as Operation
    return operation(id, ...args)
  }
}
