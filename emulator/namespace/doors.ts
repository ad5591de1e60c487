/**
 * The stubs that a user Worker is given: each is one of this Worker's own entrypoints, fixed by props that user code can neither read nor change.
 * A dynamic Worker cannot hold KV, R2, queue or Durable Object bindings, nor another dynamic Worker, so everything passes through here.
 */
import type { OutboundParameters } from "./parameter-keys.ts"

export interface OutboundProps {
  /** What the dispatcher gave with the dispatch: production's `env` of the outbound Worker. */
  readonly parameters: OutboundParameters
}
export interface ResourceProps {
  readonly kind: "kv" | "r2" | "d1" | "queue"
  /** Namespace id, bucket name, database id or queue name, as in the upload's metadata. */
  readonly id: string
}
export interface ScriptProps {
  readonly namespace: string
  readonly script: string
}
export interface ObjectProps extends ScriptProps {
  readonly className: string
  readonly parameters: OutboundParameters
}
export interface BrakeProps {
  readonly id: string
  readonly limit: number
  /** Seconds: 10 or 60. */
  readonly periodS: number
}

type Entrypoint<Props> = (options: { props: Props }) => Fetcher

/** `ctx.exports` of the Worker that holds the namespace, as far as this folder uses it. */
export interface DoorExports {
  readonly Outbound: Entrypoint<OutboundProps>
  readonly ResourceDoor: Entrypoint<ResourceProps>
  readonly AssetsDoor: Entrypoint<ScriptProps>
  readonly CacheDoor: Entrypoint<ScriptProps>
  readonly ObjectDoor: Entrypoint<ObjectProps>
  readonly BrakeDoor: Entrypoint<BrakeProps>
}

/** Account-level Workers that a service binding may name: `service` or `service#entrypoint`, to a stub with the binding's props. */
export type Services = Readonly<Record<string, (props: Readonly<Record<string, unknown>>) => Fetcher>>
