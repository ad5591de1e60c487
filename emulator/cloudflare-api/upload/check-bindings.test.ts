import { describe, expect, it } from "vitest"
import { ApiFailure } from "../envelope.ts"
import { ERRORS } from "../error-codes.ts"
import { type AccountFacts, checkBindings } from "./check-bindings.ts"

const account: AccountFacts = {
  hasResource: (_kind, id) => id === "there",
  hasNamespace: (name) => name === "production",
  hasSibling: (script) => script === "sibling",
  isPlatformWorker: (name) => name === "sallyport-dispatcher",
  durableClassesOf: (namespace, script) => (namespace === "production" && script === "sibling" ? ["Counter"] : null),
}
const own = { script: "files", exported: ["Counter", "Plain"], durable: ["Counter"] }

function verdict(binding: Record<string, unknown>): string {
  try {
    checkBindings([{ name: "B", type: "", ...binding }], account, own)
    return "accepted"
  } catch (thrown) {
    return thrown instanceof ApiFailure ? `${ERRORS[thrown.kind].code} ${thrown.message}` : String(thrown)
  }
}

describe("checkBindings", () => {
  it.each([
    [{ type: "kv_namespace", namespace_id: "there" }],
    [{ type: "r2_bucket", bucket_name: "there" }],
    [{ type: "d1", database_id: "there" }],
    [{ type: "d1", id: "there" }],
    [{ type: "queue", queue_name: "there" }],
    [{ type: "service", service: "sallyport-dispatcher", entrypoint: "Platform" }],
    [{ type: "dispatch_namespace", namespace: "production" }],
    [{ type: "durable_object_namespace", class_name: "Counter" }],
    [{ type: "durable_object_namespace", class_name: "Counter", script_name: "files" }],
    [
      {
        type: "durable_object_namespace",
        class_name: "Counter",
        script_name: "sibling",
        dispatch_namespace: "production",
      },
    ],
    [{ type: "plain_text", text: "a" }],
    [{ type: "a kind of tomorrow" }],
  ])("accepts %j", (binding) => {
    expect(verdict(binding)).toBe("accepted")
  })

  // The words are those captured from the live API.
  it.each([
    [
      { type: "kv_namespace", namespace_id: "gone" },
      "10041 KV namespace 'gone' not found. Verify the namespace exists in your account and that the namespace_id is correct.",
    ],
    [
      { type: "r2_bucket", bucket_name: "gone" },
      "10085 R2 bucket 'gone' not found. Verify the bucket exists in your account and that the bucket_name is correct.",
    ],
    [{ type: "d1", database_id: "gone" }, "10181 D1 binding 'B' references database 'gone' which was not found."],
    [{ type: "d1" }, "10021 binding B of type d1 must have a valid `id` specified"],
    [{ type: "queue", queue_name: "gone" }, "11000 Queue 'gone' not found. Please verify it exists and try again."],
    [
      { type: "service", service: "gone" },
      "10144 Service binding 'B' references environment 'production' on Worker 'gone' which was not found.",
    ],
    [
      { type: "service", service: "sibling" },
      "10143 Service binding 'B' references Worker 'sibling' which was not found.",
    ],
    [
      { type: "dispatch_namespace", namespace: "gone" },
      "100119 The specified dispatch namespace does not exist on this account.",
    ],
    [
      { type: "durable_object_namespace", class_name: "Absent" },
      "10061 Cannot create binding for class 'Absent' that is not exported by script 'files'.",
    ],
    [
      { type: "durable_object_namespace", class_name: "Plain" },
      "10061 Cannot create binding for class 'Plain' because it is not currently configured to implement Durable Objects. Ensure a --new-class migration has been applied to it.",
    ],
    [
      { type: "durable_object_namespace", class_name: "Counter", script_name: "sibling" },
      "10061 Cannot create binding for class 'Counter' that is not exported by script 'sibling'.",
    ],
    [{ type: "hyperdrive", id: "gone" }, "10157 Hyperdrive binding 'B' references config 'gone' which was not found."],
    [
      { type: "vectorize", index_name: "gone" },
      "10159 Vectorize binding 'B' references index 'gone' which was not found.",
    ],
    [{ type: "mtls_certificate", certificate_id: "gone" }, "100143 mTLS certificate 'gone' not found."],
    [
      { type: "secrets_store_secret", store_id: "s", secret_name: "gone" },
      "10182 Secrets Store binding 'B' references store 's' and secret 'gone' which were not found.",
    ],
  ])("refuses %j in production's words", (binding, refusal) => {
    expect(verdict(binding)).toBe(refusal)
  })
})
