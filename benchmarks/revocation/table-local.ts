/** The dispatcher's table of revocations, filled and asked by URL: `/fill?to=N` puts entries in until there were N, `/check?rounds=N` asks it N million times, half of them of what it holds. */
import { ENTRY_BYTES } from "../../contracts/revocation.ts"
import { RevocationTable } from "../../dispatcher/src/identity/revocation-table.ts"

const PAGE = 50_000
const HASHES = 4_096
const table = new RevocationTable()
let filled = 0

/** Hash number `n`, as evenly spread as SHA-256 would make it. */
function writeHash(view: DataView, at: number, n: number): void {
  let mixed = Math.imul(n ^ (n >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  view.setUint32(at, (mixed ^ (mixed >>> 16)) >>> 0, true)
  view.setUint32(at + 4, Math.imul(mixed ^ 0x5bd1_e995, 0x9e37_79b1) >>> 0, true)
}

const page = new Uint8Array(PAGE * ENTRY_BYTES)

function fill(to: number): void {
  while (filled < to) {
    const count = Math.min(PAGE, to - filled)
    const entries = page.subarray(0, count * ENTRY_BYTES)
    const view = new DataView(page.buffer)
    for (let index = 0; index < count; index += 1) {
      const at = index * ENTRY_BYTES
      writeHash(view, at, filled + index)
      view.setFloat64(at + 8, Number.POSITIVE_INFINITY, true)
      view.setUint32(at + 16, 0xffff_ffff, true)
    }
    table.merge(entries, 1)
    filled += count
  }
}

/** Hashes from number `from` on, as a credential carries them. */
function hashes(from: number): Uint8Array[] {
  return Array.from({ length: HASHES }, (_, index) => {
    const hash = new Uint8Array(8)
    writeHash(new DataView(hash.buffer), 0, from + index)
    return hash
  })
}

function check(rounds: number): Record<string, number> {
  const credentials = hashes(0x4000_0000).map((hash, index, all) => [
    hash,
    ...[1, 2, 3].map((n) => all[(index + n) % HASHES] ?? hash),
  ])
  let clear = 0
  for (let asked = 0; asked < rounds * 1_000_000; asked += HASHES)
    for (const credential of credentials) if (table.verdict(credential, 1) === "clear") clear += 1
  return { clear }
}

/** Of hashes that were never put in. */
function wrong(of: number): Record<string, number> {
  let ask = 0
  for (let from = 0x4000_0000; from < 0x4000_0000 + of; from += HASHES)
    for (const hash of hashes(from)) if (table.verdict([hash], 1) !== "clear") ask += 1
  return { ask }
}

export default {
  fetch(request) {
    const url = new URL(request.url)
    const number = Number(url.searchParams.get("n"))
    if (url.pathname === "/fill") fill(number)
    const said = url.pathname === "/check" ? check(number) : url.pathname === "/wrong" ? wrong(number) : {}
    return Response.json({ size: table.size, beyond: table.beyond, sizeBytes: table.sizeBytes, ...said })
  },
} satisfies ExportedHandler
