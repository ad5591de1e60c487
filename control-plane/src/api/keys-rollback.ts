import { keyRingShape, keysRollback as keysRollbackBody } from "../../../contracts/api.ts"
import { rollBackKeys } from "../keys/change-ring.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { showKeys } from "./show-keys.ts"

export const keysRollback = defineOperation({
  id: "keys.rollback",
  method: "POST",
  path: "/v1/keys/rollback",
  summary:
    "Undo the newest rotation: the key that waits will not sign, or the former one signs again at once, as long as it still verifies. What the other has signed stays good",
  access: { who: "ops" },
  body: keysRollbackBody,
  idempotencyKey: true,
  answers: {
    200: { description: "A repeat; nothing was changed", shape: { name: "KeyRing", shape: keyRingShape } },
    201: { description: "The ring as it is now", shape: { name: "KeyRing", shape: keyRingShape } },
  },
  problems: ["keys.none-before", "config.invalid", "config.not-published", "api.conflict", "api.busy"],
  handle: async ({ actor, body, deploymentId, deps }) => {
    const { result, revision } = await rollBackKeys({ message: body.message, askedBy: deploymentId }, actor, deps)
    return answerChange({ result: { body: showKeys(result.keys, deps), created: result.created }, revision })
  },
})
