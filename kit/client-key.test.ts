import { it } from "vitest"
import { clientKey } from "./client-key.ts"

for (const [ip, key] of [
  ["203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "20010db8:10002/64"],
  ["2001:DB8:1:2::", "20010db8:10002/64"],
  ["2001:db8:1:3::", "20010db8:10003/64"],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["203.0.113.7, 198.51.100.1", "unknown"],
  ["203.0.113.7.1234", "unknown"],
  ["2001:db8::1%eth0", "unknown"],
  ["localhost", "unknown"],
  ["0.0.0", "unknown"],
  ["1.2.3.", "unknown"],
  ["-1.2.3.4", "unknown"],
  ["1::1.2.3.4", "10000:0/64"],
  ["::1.2.3.4", "0:0/64"],
  ["1:2:3:4::", "10002:30004/64"],
  ["x", "unknown"],
  ["", "unknown"],
  [null, "unknown"],
] as const)
  it(`counts ${JSON.stringify(ip)} as ${key}`, ({ expect }) => {
    expect(clientKey(ip)).toBe(key)
  })
