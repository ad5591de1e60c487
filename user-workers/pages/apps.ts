/** The apps that this Worker serves, and what each of them may do in a browser. A folder of web/ without an entry here belongs to the app at the root. */
import type { CspOptions } from "../../kit/csp.ts"

export interface App {
  /** Path below which the app has all addresses, without a slash at the end. Its page is `{base}/index.html`, its hashed files are in `{base}/assets/`. */
  readonly base: string
  readonly csp: CspOptions
}

export const ROOT = "/webclients"
export const REPORT_PATH = "/webclients/csp-reports"

/** Of the one inline script, web/shared/boot.js as build.mjs makes it, which sets the theme before anything is drawn. */
export const BOOT_HASH = "sha256-lEuVaUpAc15vQzncAxWwm5DzzWCOcxRkp7WIOkEOCOY="

const HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const

/** From the longest base to the shortest: the first that a path lies below is its app. */
export const APPS: readonly App[] = [
  {
    // By hash: the page is the same for everybody, so browsers keep it and ask only whether it changed.
    base: `${ROOT}/projects`,
    csp: { enforce: { scripts: [BOOT_HASH] }, reportPath: REPORT_PATH, headers: HEADERS },
  },
  {
    // By nonce: what the page's scripts load needs no entry in the policy. It may show pictures that it made itself.
    base: `${ROOT}/drawings`,
    csp: {
      enforce: { scripts: "nonce", directives: { "img-src": ["'self'", "blob:"] } },
      reportPath: REPORT_PATH,
      headers: { ...HEADERS, "permissions-policy": "camera=(), geolocation=(), microphone=(), fullscreen=(self)" },
    },
  },
  {
    // A stricter policy is on trial here: browsers report what it would stop, and stop nothing.
    base: ROOT,
    csp: {
      enforce: { scripts: "self" },
      reportOnly: { scripts: "self", directives: { "manifest-src": [], "font-src": [] } },
      reportPath: REPORT_PATH,
      headers: HEADERS,
    },
  },
]

/** The app that `path` belongs to; null outside {@link ROOT}. */
export function appOf(path: string): App | null {
  return APPS.find(({ base }) => path === base || path.startsWith(`${base}/`)) ?? null
}
