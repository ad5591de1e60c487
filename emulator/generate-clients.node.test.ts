import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { generateClients } from "./generate-clients.ts"

it("keeps clients.generated.ts equal to what the files of clients/ say", () => {
  const generated = new URL("./namespace/clients.generated.ts", import.meta.url)
  expect(readFileSync(generated, "utf8")).toBe(generateClients())
})
