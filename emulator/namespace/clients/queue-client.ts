/** `Queue` (producer side) over its door. @see https://developers.cloudflare.com/queues/configuration/javascript-apis/ */
import type { QueueSend } from "../../cloudflare-api/resources.ts"
import { callDoor, type Door } from "./call-door.ts"

interface SendOptions {
  readonly contentType?: "text" | "json" | "bytes" | "v8"
  readonly delaySeconds?: number
}
type Message = SendOptions & { readonly body: unknown }

export function queueClient(door: Door) {
  const send = (messages: QueueSend[]) => callDoor<void>(door, "queueSend", messages)
  return {
    async send(body: unknown, options: SendOptions = {}) {
      await send([asMessage({ body, ...options })])
    },
    async sendBatch(messages: Iterable<Message>, options: Pick<SendOptions, "delaySeconds"> = {}) {
      await send([...messages].map((each) => asMessage({ ...options, ...each })))
    },
  }
}

function asMessage({ body, contentType = "json", delaySeconds }: Message): QueueSend {
  return {
    body: encode(body, contentType),
    contentType,
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
  }
}

function encode(body: unknown, contentType: QueueSend["contentType"]): string {
  switch (contentType) {
    case "text":
      if (typeof body !== "string") throw new TypeError("The content type text needs a string.")
      return body
    case "json":
      return JSON.stringify(body)
    case "bytes":
      return base64(body)
    case "v8":
      throw new Error("The content type v8 is not available in the local namespace; use json.")
  }
}

function base64(body: unknown): string {
  const bytes = ArrayBuffer.isView(body)
    ? new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
    : new Uint8Array(body as ArrayBuffer)
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}
