/** What `npm start` prints once the platform is up: the verified requests, where everything listens, and commands to paste. */
import path from "node:path"
import { ROOT } from "./build.ts"
import { ALICE } from "./example-layout.ts"
import type { ExampleOrigins } from "./example-origins.ts"
import type { Platform } from "./platform.ts"
import { EXAMPLES, type VerifiedRow } from "./verify-hostnames.ts"

export function table(rows: readonly VerifiedRow[]): string {
  const lines = [
    ["hostname", "path", "script", "version", "zone", "status", "ms"],
    ...rows.map((row) => [
      row.hostname,
      row.path,
      row.script,
      row.version,
      row.zone,
      String(row.status),
      row.ms.toFixed(1),
    ]),
  ]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const printed = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  )
  const faults = rows.filter((row) => row.fault !== null)
  return [...printed, ...faults.map((row) => `! ${row.hostname}${row.path}: ${row.fault}`)].join("\n")
}

export function addresses(platform: Platform, origins: ExampleOrigins | null): string {
  return [
    `edge               ${platform.edgeUrl}      the Host header chooses the hostname`,
    `in a browser       ${platform.edgeUrl.replace("127.0.0.1", "app.procore.localhost")}/webclients/      *.localhost stands for *.com`,
    `control plane      ${platform.controlPlaneUrl}      API /v1 (described at /docs), wrangler's door /client/v4`,
    `Cloudflare API     ${platform.cloudflareApiUrl}      local stand-in, under /client/v4`,
    `token issuer       ${platform.issuerUrl}      /token?subject=alice&company=100`,
    `cells              ${Object.entries(platform.cells)
      .map(([zone, url]) => `${zone} ${url}`)
      .join("  ")}`,
    ...(origins === null
      ? []
      : [
          `uploads            ${origins.fileUpload}      file upload service; stores ${Object.values(origins.stores).join(" ")}`,
          `documents          ${origins.legacyService} being replaced by ${origins.newService}`,
          `log in             ${origins.browserOrigin}/webclients/projects/account      in a browser, as alice or bob at ${origins.identityProvider.issuer}`,
          `mailbox            ${origins.mailbox}      PINs of alice@example.com and bob@example.com arrive here; ${origins.browserOrigin}/login/pin asks for one`,
          `traces             ${origins.traces}      the newest first`,
        ]),
    `console output     ${path.relative(process.cwd(), platform.logFile)}`,
  ].join("\n")
}

/** Paste any block into another shell, in the repository's folder. */
export function commands(platform: Platform, origins: ExampleOrigins): string {
  const state = path.relative(ROOT, platform.stateDir)
  const curls = EXAMPLES.map(({ url, headers, company }) => {
    const { hostname, pathname } = new URL(url)
    const all = { Host: hostname, ...headers }
    const options = Object.entries(all).map(([name, value]) => `-H '${name}: ${value}'`)
    if (company !== null) options.push(`-H "Authorization: Bearer $(token ${company})"`)
    return `  curl -s ${options.join(" ")} ${platform.edgeUrl}${pathname}`
  })
  return `Call a hostname:
  token() { curl -s "${platform.issuerUrl}/token?subject=${ALICE.subject}&scope=${ALICE.scope}&company=$1"; }
${curls.join("\n")}

Upload a file: the service signs a URL, the files Worker checks every byte on the way to the store
  printf 'hello from a laptop' > .sallyport/hello.txt
  SHA=$(sha256sum .sallyport/hello.txt | cut -d' ' -f1)
  URL=$(curl -s -X POST -H 'content-type: application/json' ${origins.fileUpload}/rest/v2.1/companies/100/uploads \\
    -d "{\\"file_name\\":\\"hello.txt\\",\\"file_size\\":19,\\"sha256\\":\\"$SHA\\"}" | sed -n 's/.*"url":"\\([^"]*\\)".*/\\1/p')
  curl -s -i -X PUT -H 'Host: storage.procore.com' -H 'content-type: application/octet-stream' -T .sallyport/hello.txt "${platform.edgeUrl}\${URL#https://storage.procore.com}"

Upload a Worker of your own, as team web, and give it a route:
  . ${state}/web.env
  mkdir -p .sallyport/hello && cd .sallyport/hello
  printf '%s\\n' 'export default { fetch: () => new Response("hello") }' > index.js
  printf 'name = "hello"\\nmain = "index.js"\\ncompatibility_date = "2026-10-01"\\n' > wrangler.toml
  npx wrangler deploy --dispatch-namespace production
  npx sallyport routes set hello --hostname app.procore.com --path '/hello/*' --script hello --auth none
  curl -s -H 'Host: app.procore.com' ${platform.edgeUrl}/hello/

Change it, and go back:
  printf '%s\\n' 'export default { fetch: () => new Response("hello again") }' > index.js
  npx wrangler deploy --dispatch-namespace production
  curl -s -H 'Host: app.procore.com' ${platform.edgeUrl}/hello/
  npx sallyport versions list hello
  npx sallyport rollback hello --wait
  npx sallyport explain https://app.procore.com/hello/`
}
