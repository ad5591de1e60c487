import { keyRingShape } from "../../../contracts/api.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { showKeys } from "./show-keys.ts"

export const keysList = defineOperation({
  id: "keys.list",
  method: "GET",
  path: "/v1/keys",
  summary: "Read which keys sign and verify passports, and until when",
  access: { who: "ops" },
  answers: { 200: { description: "The key ring", shape: { name: "KeyRing", shape: keyRingShape } } },
  handle: async ({ deps }) => answerThing(showKeys(await deps.store.passportKeys.list(), deps)),
})
