import { keyRingShape, keysRotate as keysRotateBody } from "../../../contracts/api.ts"
import { rotateKeys } from "../keys/change-ring.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { showKeys } from "./show-keys.ts"

export const keysRotate = defineOperation({
  id: "keys.rotate",
  method: "POST",
  path: "/v1/keys/rotate",
  summary:
    "Publish a new key for passports, which signs once every verifier can know it; while one waits to sign, nothing is made",
  access: { who: "ops" },
  body: keysRotateBody,
  idempotencyKey: true,
  answers: {
    200: {
      description: "A key waits to sign already; nothing was changed",
      shape: { name: "KeyRing", shape: keyRingShape },
    },
    201: { description: "The ring with the new key", shape: { name: "KeyRing", shape: keyRingShape } },
  },
  problems: [
    "keys.not-configured",
    "keys.ring-full",
    "config.invalid",
    "config.not-published",
    "api.conflict",
    "api.busy",
  ],
  handle: async ({ actor, body, deploymentId, deps }) => {
    const { immediately, message } = body
    const { result, revision } = await rotateKeys({ immediately, message, askedBy: deploymentId }, actor, deps)
    return answerChange({ result: { body: showKeys(result.keys, deps), created: result.created }, revision })
  },
})
