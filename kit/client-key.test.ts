import { it } from "vitest"
import { clientKey } from "./client-key.ts"

for (const [ip, key] of [
  ["203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "20010db8:10002/64"],
  ["2001:DB8:1:2::", "20010db8:10002/64"],
  ["2001:db8:1:3::", "20010db8:10003/64"],
  ["203.0.113.07", "unknown"],
  ["x", "unknown"],
  ["", "unknown"],
  [null, "unknown"],
] as const)
  it(`counts ${JSON.stringify(ip)} as ${key}`, ({ expect }) => {
    expect(clientKey(ip)).toBe(key)
  })
