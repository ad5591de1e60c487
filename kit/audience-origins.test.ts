import { describe, it } from "vitest"
import type { AudienceOrigins } from "../contracts/platform.ts"
import { AudienceDirectory } from "./audience-origins.ts"

describe("AudienceDirectory", () => {
  it("asks once per audience and config revision", async ({ expect }) => {
    const { originsOf, asked } = asking()
    for (const [audience, revision] of [
      ["cell:us01", 1],
      ["cell:us01", 1],
      ["cell:us02", 1],
      ["cell:us01", 2],
      ["cell:us01", 2],
      ["cell:us01", 1],
    ] as const)
      await originsOf(audience, revision, { revision })
    expect(asked).toEqual(["cell:us01", "cell:us02", "cell:us01"])
  })

  it("asks anew for every request that is not known to be under a revision", async ({ expect }) => {
    const { originsOf, asked } = asking()
    await originsOf("cell:us01", null)
    await originsOf("cell:us01", null)
    expect(asked).toHaveLength(2)
  })

  it("gives out an older answer than the request is under, and asks anew for the next", async ({ expect }) => {
    const { originsOf, asked } = asking()
    expect(await originsOf("cell:us01", 3, { revision: 2, origins: ["https://old.example"] })).toEqual([
      "https://old.example",
    ])
    expect(await originsOf("cell:us01", 3, { revision: 3 })).toEqual(["https://cell.example"])
    expect(asked).toHaveLength(2)
  })

  it("never goes back behind an answer that it has", async ({ expect }) => {
    const { originsOf } = asking()
    await originsOf("cell:us01", 2, { revision: 2, origins: ["https://new.example"] })
    const late = await originsOf("cell:us01", 3, { revision: 1, origins: ["https://old.example"] })
    expect(late).toEqual(["https://new.example"])
  })

  it("refuses an audience without origins, and remembers no refusal", async ({ expect }) => {
    const { originsOf, asked } = asking()
    for (let each = 0; each < 2; each++)
      await expect(originsOf("cell:us01", 1, { origins: [] })).rejects.toMatchObject({
        code: "platform.audience-unknown",
      })
    expect(asked).toHaveLength(2)
  })
})

function asking() {
  const directory = new AudienceDirectory()
  const asked: string[] = []
  const originsOf = (audience: string, revision: number | null, answer: Partial<AudienceOrigins> = {}) =>
    directory.originsOf(audience, revision, async (name) => {
      asked.push(name)
      return { audience: name, origins: ["https://cell.example"], revision: 1, ...answer }
    })
  return { asked, originsOf }
}
