import { expect, it } from "vitest"
import { refuseCrossSite } from "./cross-site.ts"

type Asked = Parameters<typeof refuseCrossSite>[0]
const POST: Asked = { method: "POST", upgrade: false, fetchSite: null, isOwnOrigin: false }

function codeOf(changes: Partial<Asked>): string {
  try {
    refuseCrossSite({ ...POST, ...changes })
    return "passes"
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown)
  }
}

it.each<[string, Partial<Asked>]>([
  ["a same-origin POST", { fetchSite: "same-origin" }],
  ["a same-origin DELETE", { fetchSite: "same-origin", method: "DELETE" }],
  ["a POST without Fetch Metadata from the own origin", { isOwnOrigin: true }],
  ["a cross-site GET", { fetchSite: "cross-site", method: "GET" }],
  ["a HEAD that says nothing", { method: "HEAD" }],
  ["an OPTIONS of another host of the site", { fetchSite: "same-site", method: "OPTIONS" }],
  ["a GET that the user typed", { fetchSite: "none", method: "GET" }],
  ["a WebSocket from the own origin", { method: "GET", upgrade: true, isOwnOrigin: true }],
])("lets %s pass", (_what, changes) => {
  expect(codeOf(changes)).toBe("passes")
})

it.each<[string, Partial<Asked>]>([
  ["a cross-site POST", { fetchSite: "cross-site" }],
  ["a POST of another host of the site", { fetchSite: "same-site" }],
  ["a POST of another host of the site, whatever its Origin says", { fetchSite: "same-site", isOwnOrigin: true }],
  ["a POST that the user typed", { fetchSite: "none" }],
  ["a POST that says nothing", {}],
  ["a POST of another origin without Fetch Metadata", { isOwnOrigin: false }],
  ["two values that one reader may take for same-origin", { fetchSite: "same-origin, cross-site" }],
  ["another spelling of same-origin", { fetchSite: "Same-Origin" }],
  ["an empty value", { fetchSite: "", isOwnOrigin: true }],
  ["a PATCH, PUT or DELETE of elsewhere", { fetchSite: "cross-site", method: "PATCH" }],
  ["a method that nobody knows", { fetchSite: "cross-site", method: "PROPFIND" }],
  ["get in small letters, which is another method", { fetchSite: "cross-site", method: "get" }],
  ["a WebSocket from another host of the site", { method: "GET", upgrade: true, fetchSite: "same-site" }],
  ["a WebSocket that says nothing", { method: "GET", upgrade: true }],
])("refuses %s", (_what, changes) => {
  expect(codeOf(changes)).toBe("auth.cross-site")
})
