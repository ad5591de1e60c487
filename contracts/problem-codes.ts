/**
 * Every problem this system can answer, with its status. A code is stable for ever and is what programs match on.
 * The sentence in `fix` tells the reader what to do; docs/problems.md is generated from this table.
 * Long because it is one flat table, read by code and never from top to bottom.
 * @see RFC 9457
 */

interface ProblemKind {
  /** HTTP status, held here and nowhere else. */
  readonly status: number
  readonly title: string
  readonly fix: string
}

export const PROBLEMS = {
  // What the edge refuses before it knows the route
  "edge.path-ambiguous": {
    status: 400,
    title: "The path can be read in two ways",
    fix: "Send a path without encoded slashes, backslashes, NUL, empty segments, double encoding or dot segments.",
  },
  "edge.hostname-invalid": {
    status: 400,
    title: "The hostname is not canonical",
    fix: "Use the hostname in lower case, without a trailing dot, and not an IP address.",
  },
  "edge.framing-ambiguous": {
    status: 400,
    title: "The length of the body is stated in two ways",
    fix: "Send either Content-Length or Transfer-Encoding: chunked, once.",
  },
  // RFC 9110 §9.3.1: such a body means nothing, and readers that skip it take it for the next request.
  "edge.body-unexpected": {
    status: 400,
    title: "GET and HEAD carry no body",
    fix: "Send the data in the query, or use POST.",
  },
  "edge.tls-too-old": {
    status: 403,
    title: "TLS 1.2 or newer is required",
    fix: "Use a client that speaks TLS 1.2 or 1.3.",
  },
  "edge.method-not-allowed": {
    status: 405,
    title: "This method is not accepted",
    fix: "Use one of the methods in the Allow header.",
  },
  "edge.url-too-long": {
    status: 414,
    title: "The URL is too long",
    fix: "Shorten the URL, or send the data in the body.",
  },
  "edge.headers-too-large": {
    status: 431,
    title: "The headers are too large",
    fix: "Send fewer or smaller headers and cookies.",
  },
  "edge.body-too-large": {
    status: 413,
    title: "The body is too large",
    fix: "Send a smaller body, or upload it in parts.",
  },
  "edge.address-denied": {
    status: 403,
    title: "Requests from this network are refused",
    fix: "Ask the operators, giving the request id.",
  },
  "edge.country-denied": {
    status: 403,
    title: "Requests from this country are refused",
    fix: "Ask the operators, giving the request id.",
  },
  "edge.too-many-requests": {
    status: 429,
    title: "Too many requests",
    fix: "Wait as long as Retry-After says.",
  },
  // Route
  "route.hostname-unknown": {
    status: 404,
    title: "Nothing is served on this hostname",
    fix: "Check the hostname; a route for it may not be published yet.",
  },
  "route.not-found": {
    status: 404,
    title: "No route matches this path",
    fix: "Check the path; `sallyport explain <url>` shows which routes were considered.",
  },
  "route.service-worker-refused": {
    status: 403,
    title: "A service worker for the whole hostname is its own team's to serve",
    fix: "Serve the service worker script from below the route's own path, at least two segments deep.",
  },
  "route.killed": {
    status: 503,
    title: "This route is switched off",
    fix: "Try again later; its team or the operators switched it off on purpose.",
  },
  "dispatch.script-killed": {
    status: 503,
    title: "This script is switched off",
    fix: "Try again later; its team or the operators switched it off on purpose.",
  },
  "dispatch.team-killed": {
    status: 503,
    title: "The team that serves this is switched off",
    fix: "Try again later; the operators switched it off on purpose.",
  },
  // Who calls
  "auth.credential-required": {
    status: 401,
    title: "A credential is required",
    fix: "Send `Authorization: Bearer <token>` of an accepted issuer.",
  },
  "auth.credential-invalid": {
    status: 401,
    title: "The credential is not valid",
    fix: "Get a new one, and send one alone: a session's cookie or Authorization. A wrong credential is refused even where none is required.",
  },
  "auth.token-expired": { status: 401, title: "The token has expired", fix: "Get a new token." },
  "auth.session-expired": {
    status: 401,
    title: "The session is over",
    fix: "Log in again.",
  },
  "auth.session-unconfirmed": {
    status: 503,
    title: "It cannot be confirmed at the moment that the session goes on",
    fix: "Wait as long as Retry-After says. Nothing was done.",
  },
  "auth.cross-site": {
    status: 403,
    title: "A session changes nothing at the request of another site",
    fix: "Send the request from a page of the same origin, or with a token in Authorization and without cookies.",
  },
  "auth.step-up-required": {
    status: 401,
    title: "The session does not suffice for this",
    fix: "Log in again as WWW-Authenticate says: acr_values is the level, max_age the seconds since the login.",
  },
  "auth.session-left": {
    status: 302,
    title: "The session is over, and was not needed",
    fix: "Follow Location, without the session's cookie.",
  },
  "auth.login-required": {
    status: 302,
    title: "Log in first",
    fix: "Follow Location; after the login it leads back here.",
  },
  "auth.revoked": {
    status: 401,
    title: "The credential was revoked",
    fix: "Log in again, or get a new token.",
  },
  "auth.revocation-unknown": {
    status: 503,
    title: "It is not known at the moment what was revoked",
    fix: "Wait as long as Retry-After says. Nothing was done.",
  },
  "revocation.invalid": {
    status: 400,
    title: "This revocation is not valid",
    fix: "Name one target, a reason, and a time that is not in the future; `errors` says what is wrong.",
  },
  "revocation.not-recorded": {
    status: 503,
    title: "It is not certain that the revocations were recorded",
    fix: "Send them again: to revoke twice does no harm.",
  },
  "revocation.unavailable": {
    status: 503,
    title: "The revocation log does not answer",
    fix: "Try again shortly. What was revoked stays revoked meanwhile.",
  },
  "revocation.log-full": {
    status: 503,
    title: "As many single revocations are in force as can be held",
    fix: "Revoke by company or by time, which takes one entry; nothing of this call was revoked.",
  },
  "auth.not-allowed": {
    status: 403,
    title: "The credential does not allow this",
    fix: "Ask for the scopes that the route requires.",
  },
  // The login Worker
  "login.request-invalid": {
    status: 400,
    title: "The request for a login is not valid",
    fix: "Begin at /login/start, with nothing in the query but return_to, idp, level and max_age.",
  },
  "login.state-unknown": {
    status: 400,
    title: "This login is not under way in this browser",
    fix: "Begin again. A login is good for ten minutes, once, in the browser that began it.",
  },
  "login.denied": {
    status: 403,
    title: "The identity provider did not let you in",
    fix: "Begin again, and agree at the identity provider; or ask its administrators.",
  },
  "login.answer-invalid": {
    status: 403,
    title: "The identity provider's answer is not accepted",
    fix: "Begin again. If it happens every time, tell the operators the request id.",
  },
  "login.level-not-reached": {
    status: 403,
    title: "The identity provider is less sure of you than is asked",
    fix: "Begin again, and prove who you are with a second factor.",
  },
  "login.provider-unavailable": {
    status: 503,
    title: "The identity provider does not answer",
    fix: "Try again later. Whoever is logged in stays so.",
  },
  "login.store-unavailable": {
    status: 503,
    title: "Logins cannot be noted at the moment",
    fix: "Try again later. Whoever is logged in stays so.",
  },
  "login.not-configured": {
    status: 500,
    title: "The login is not set up",
    fix: "Tell the operators; the log of the login Worker says which setting is missing.",
  },
  "login.pin-wrong": {
    status: 403,
    title: "The PIN is wrong or no longer good",
    fix: "Ask for a new one. A PIN is good for ten minutes and five attempts, in the browser that asked for it.",
  },
  "login.too-many-attempts": {
    status: 429,
    title: "Too many PINs were asked for",
    fix: "Wait as long as Retry-After says.",
  },
  "login.logout-token-invalid": {
    status: 400,
    title: "The logout token is not valid",
    fix: "Send a logout token as OpenID Connect Back-Channel Logout 1.0 §2.4 says, each once.",
  },
  // What happened behind the dispatcher
  // The sessions Worker
  "session.unknown": {
    status: 404,
    title: "There is no such session of yours",
    fix: "`GET /sessions` lists them; one that is over, or somebody else's, answers the same.",
  },
  "session.request-invalid": {
    status: 400,
    title: "The request for sessions is not as it must be",
    fix: "See `errors` for what is wrong and where.",
  },
  "session.not-known-yet": {
    status: 503,
    title: "The session that the event names is not known here, or not yet",
    fix: "Send the event again as Retry-After says.",
  },
  "dispatch.script-missing": {
    status: 503,
    title: "The Worker of this route is not in place",
    fix: "Try again shortly; if it persists, tell the operators the request id.",
  },
  "dispatch.worker-failed": {
    status: 502,
    title: "The Worker of this route failed",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "dispatch.worker-timeout": {
    status: 504,
    title: "The Worker of this route did not answer in time",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "dispatch.limit-exceeded": {
    status: 503,
    title: "The Worker of this route used more than its share",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "dispatch.response-invalid": {
    status: 502,
    title: "The Worker of this route gave no usable response",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "config.unavailable": {
    status: 503,
    title: "The gateway has no configuration yet",
    fix: "Try again shortly.",
  },
  // Through the platform binding and out of it
  "platform.not-granted": {
    status: 403,
    title: "This script does not hold the grant",
    fix: "Ask the operators to grant it to the team.",
  },
  "platform.passport-required": {
    status: 401,
    title: "A passport made for this script is required",
    fix: "Pass on the x-passport header of the request being handled.",
  },
  "platform.script-unknown": {
    status: 404,
    title: "There is no such script, or it has no deployment",
    fix: "Check the name; deploy a version of it.",
  },
  "platform.too-many-hops": {
    status: 508,
    title: "The request was dispatched too many times",
    fix: "Look for scripts that dispatch to each other in a circle.",
  },
  "platform.zone-unknown": {
    status: 404,
    title: "There is no such zone",
    fix: "Check the name against the directory's zones.",
  },
  "platform.argument-invalid": {
    status: 400,
    title: "The call's arguments are not as they must be",
    fix: "See contracts/platform.ts for what each method takes.",
  },
  "platform.audience-unknown": {
    status: 404,
    title: "There is no such audience",
    fix: "Check the name against the published audiences.",
  },
  "platform.unavailable": {
    status: 503,
    title: "The platform binding does not answer",
    fix: "Try again shortly; if it persists, tell the operators the request id.",
  },
  // Companies, zones and cells, answered by the team Workers in front of them
  "company.required": {
    status: 400,
    title: "Missing Procore-Company-Id header!",
    fix: "Send the id of the company in the header Procore-Company-Id: 1–20 decimal digits.",
  },
  "company.ambiguous": {
    status: 400,
    title: "The request names two companies",
    fix: "Name the same company in the header Procore-Company-Id, the path and the query.",
  },
  "company.moving": {
    status: 503,
    title: "The company is being moved to another zone",
    fix: "Wait as long as Retry-After says. Requests that change nothing may still be answered.",
  },
  "company.elsewhere": {
    status: 421,
    title: "The company lives in another zone",
    fix: "Use the base URL of its zone, which `GET /company_base_url` tells.",
  },
  "company.unknown": {
    status: 404,
    title: "There is no such company",
    fix: "Check the company id; a company you may not see answers the same.",
  },
  "zone.missing": {
    status: 503,
    title: "The request names no zone",
    fix: "Ask the operators to name a zone on this route. One that its team named falls with the grant `zone:<zone>`: look whether the team still holds it.",
  },
  "zone.unavailable": {
    status: 503,
    title: "The zone is not in place",
    fix: "Try again shortly; if it persists, tell the operators the request id.",
  },
  "zone.country-refused": {
    status: 403,
    title: "The zone does not accept requests from this country",
    fix: "Call from a country that the zone accepts; a client whose country is unknown is refused as well.",
  },
  "cell.unavailable": {
    status: 503,
    title: "No origin of the cell is fit to answer",
    fix: "Wait as long as Retry-After says.",
  },
  "cell.failed": {
    status: 502,
    title: "The cell did not answer",
    fix: "Try again; if it persists, tell the operators the request id.",
  },
  "cell.timeout": {
    status: 504,
    title: "The cell did not answer in time",
    fix: "Try again; if it persists, tell the operators the request id.",
  },
  // Files on their way to a store, answered by the files Worker
  "upload.signature-invalid": {
    status: 403,
    title: "The upload URL is not as it was signed",
    fix: "Use the URL of the segment exactly as the file upload service gave it, with PUT.",
  },
  "upload.url-expired": {
    status: 403,
    title: "The upload URL has expired",
    fix: "GET the upload from the file upload service: the segments still to be sent carry fresh URLs.",
  },
  "upload.id-invalid": {
    status: 400,
    title: "An id in the path is not one",
    fix: "Company and project are 1–20 digits, the upload 1–64 of A–Z, a–z, 0–9, - and _, a part 1–10000.",
  },
  "upload.credential-unexpected": {
    status: 400,
    title: "The upload URL is its own credential",
    fix: "Send the PUT without an Authorization header.",
  },
  "upload.unknown": {
    status: 404,
    title: "There is no such upload",
    fix: "Create an upload first; one of another company, project or user answers the same.",
  },
  "upload.length-required": {
    status: 411,
    title: "The length of the body is not stated",
    fix: "Send Content-Length as the segment's headers give it, not Transfer-Encoding: chunked.",
  },
  "upload.length-mismatch": {
    status: 400,
    title: "The body has another length than was announced",
    fix: "Send exactly as many bytes as the upload was created with, or create another upload.",
  },
  "upload.headers-mismatch": {
    status: 400,
    title: "The headers are not those that came with the URL",
    fix: "Send the segment's headers exactly as the file upload service gave them; `errors` names the others.",
  },
  "upload.digest-mismatch": {
    status: 422,
    title: "The content is not what was announced",
    fix: "Send the bytes whose SHA-256 and MD5 the upload was created with; nothing was stored and the URL is still good.",
  },
  "upload.in-progress": {
    status: 409,
    title: "This URL is being used at this moment",
    fix: "Wait for the other request; when it fails, the URL is good again.",
  },
  "upload.already-used": {
    status: 409,
    title: "This URL has been used",
    fix: "The content is stored: complete the upload with the ETag, or create another upload.",
  },
  "upload.interrupted": {
    status: 400,
    title: "The body ended early",
    fix: "Send it again; nothing was stored and the URL is still good.",
  },
  "upload.too-slow": {
    status: 408,
    title: "The upload took too long",
    fix: "Send it again in smaller parts; nothing was stored and the URL is still good.",
  },
  "upload.service-failed": {
    status: 502,
    title: "The file upload service gave no usable answer",
    fix: "Try again; if it persists, tell the operators the request id.",
  },
  "upload.service-timeout": {
    status: 504,
    title: "The file upload service did not answer in time",
    fix: "Try again; if it persists, tell the operators the request id.",
  },
  "upload.target-refused": {
    status: 502,
    title: "The file upload service named a store that is not allowed",
    fix: "Tell the operators the request id.",
  },
  "upload.store-refused": {
    status: 502,
    title: "The store did not accept the upload",
    fix: "Send it again; if it persists, tell the operators the request id.",
  },
  "upload.store-failed": {
    status: 502,
    title: "The store failed",
    fix: "Send it again; nothing was stored and the URL is still good.",
  },
  "upload.store-timeout": {
    status: 504,
    title: "The store did not answer in time",
    fix: "Send it again; if it persists, tell the operators the request id.",
  },
  "upload.not-recorded": {
    status: 503,
    title: "The content arrived, but could not be recorded",
    fix: "Send it again in a while; what arrived does not count.",
  },
  // Reports of browsers
  "report.media-type": {
    status: 415,
    title: "This is no report that a browser sends",
    fix: "Send application/reports+json or application/csp-report.",
  },
  "report.malformed": {
    status: 400,
    title: "The report cannot be read",
    fix: "Send a JSON array of reports, or an object with csp-report.",
  },
  "dependency.timeout": {
    status: 504,
    title: "A service that the answer needs did not answer in time",
    fix: "Try again; if it persists, tell the operators the request id.",
  },
  // The services on both sides of a strangler migration
  "service.failed": {
    status: 502,
    title: "The service behind this path did not answer",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "service.timeout": {
    status: 504,
    title: "The service behind this path did not answer in time",
    fix: "Try again; if it persists, tell the owning team the request id.",
  },
  "egress.destination-refused": {
    status: 403,
    title: "This destination is not on the team's allow-list",
    fix: "Ask the operators to add the origin to the team's egress list.",
  },
  "egress.passport-misdirected": {
    status: 403,
    title: "A passport may only go to an origin of an audience that the team was granted",
    fix: "Send the script's own passport in x-passport, and only to origins that `originsOf` names; the one for the destination is put in its place.",
  },
  "egress.audience-ambiguous": {
    status: 403,
    title: "This origin is one of several audiences",
    fix: "Name the audience that is meant in the header x-sallyport-audience of the call.",
  },
  "egress.passport-exchange-failed": {
    status: 503,
    title: "No passport for the destination was to be had",
    fix: "Nothing was sent. Try again shortly; if it persists, tell the operators the request id.",
  },
  "egress.destination-failed": {
    status: 502,
    title: "The destination did not answer",
    fix: "Check that the origin is up.",
  },
  "egress.policy-missing": {
    status: 503,
    title: "No egress policy came with this call",
    fix: "Nothing leaves without a policy; tell the operators.",
  },
  // Control plane
  "api.unauthenticated": {
    status: 401,
    title: "A valid API token is required",
    fix: "Send `Authorization: Bearer <token>`; `sallyport login` stores one.",
  },
  "api.forbidden": {
    status: 403,
    title: "This token may not do that",
    fix: "Use a token of the owning team, or of ops.",
  },
  "api.not-found": {
    status: 404,
    title: "There is no such thing",
    fix: "Check the name; a thing you may not read answers the same.",
  },
  "api.method-not-allowed": {
    status: 405,
    title: "This method is not accepted here",
    fix: "See /openapi.json for the operations.",
  },
  "api.media-type": {
    status: 415,
    title: "The Content-Type is missing or not accepted",
    fix: "Send JSON as application/json, uploads as multipart/form-data.",
  },
  "api.body-invalid": {
    status: 400,
    title: "The body is not as it must be",
    fix: "See `errors` for what is wrong and where.",
  },
  "api.query-invalid": {
    status: 400,
    title: "The query is not as it must be",
    fix: "See `errors` for what is wrong and where.",
  },
  "api.name-invalid": {
    status: 400,
    title: "The name is not allowed",
    fix: "See `errors` for what names of this kind are.",
  },
  "api.too-large": { status: 413, title: "The body is too large", fix: "See /openapi.json for the limits." },
  "api.conflict": {
    status: 409,
    title: "It conflicts with what exists",
    fix: "Read the current state and decide again.",
  },
  "api.precondition-failed": {
    status: 412,
    title: "It changed in the meantime",
    fix: "Read it again and send its current ETag in If-Match.",
  },
  "api.busy": { status: 503, title: "Another change is being published", fix: "Try again in a second." },
  "api.too-many-tokens": {
    status: 409,
    title: "There are as many tokens in force as there may be",
    fix: "Revoke those that nobody uses, with `sallyport tokens revoke <id>`; `sallyport tokens list` shows them.",
  },
  "team.in-use": {
    status: 409,
    title: "The team still has something of its own",
    fix: "Delete what `errors` names or give it to another team, names of deleted scripts as well (`sallyport scripts set <script> --team <other>`), and revoke its tokens.",
  },
  "hostname.in-use": {
    status: 409,
    title: "Routes still stand on this hostname",
    fix: "Delete the routes first, or move them to another.",
  },
  "script.name-invalid": {
    status: 400,
    title: "The script name is not allowed",
    fix: "Use 1–48 of a–z, 0–9 and single dashes, beginning with a letter, and not `sallyport…`.",
  },
  "script.owned-by-another-team": {
    status: 403,
    title: "The script belongs to another team",
    fix: "Choose another name.",
  },
  "script.too-many": {
    status: 409,
    title: "The team holds as many script names as a team may",
    fix: "Use one of the team's names, or ask ops to give some away.",
  },
  "script.in-use": {
    status: 409,
    title: "Routes still lead to this script",
    fix: "Delete the routes first.",
  },
  "version.not-placed": {
    status: 409,
    title: "The version is not in the namespace",
    fix: "Upload it again; placing is repeated.",
  },
  "version.unknown": {
    status: 404,
    title: "There is no such version",
    fix: "`sallyport versions list <script>` shows them.",
  },
  "deployment.none-before": {
    status: 409,
    title: "There is no earlier deployment to go back to",
    fix: "Deploy a version explicitly.",
  },
  "deployment.not-granted": {
    status: 403,
    title: "The version uses a resource that its team may no longer use",
    fix: "Ask the operators for the grant that `errors` names, or deploy a version without the binding.",
  },
  "deployment.published-only": {
    status: 409,
    title: "The version was published, but not deployed",
    fix: "Deploy it with `sallyport deployments create <script> <version>`.",
  },
  "route.taken": {
    status: 409,
    title: "Another route has this hostname and path",
    fix: "Choose another path, or ask its team.",
  },
  "route.under-another-team": {
    status: 403,
    title: "The path lies under another team's route",
    fix: "Ask that team to open its route, or ops to create this one.",
  },
  "route.hostname-closed": {
    status: 403,
    title: "This hostname is not open to the team",
    fix: "Ask the operators to open it.",
  },
  "route.above-another-team": {
    status: 403,
    title: "The path would take in another team's route",
    fix: "Choose a narrower path, or ask ops to create this one.",
  },
  "route.path-reserved": {
    status: 403,
    title: "This path is its owner's alone",
    fix: "Attach below a path of your own, such as `/hello/*`, or ask ops.",
  },
  "route.quota-exceeded": {
    status: 409,
    title: "What the team has in the config would exceed its quota",
    fix: "Remove or shorten routes, or scripts that they lead to, or ask ops to make this change.",
  },
  "upload.malformed": {
    status: 400,
    title: "The upload is not as it must be",
    fix: "See `errors`; plain `wrangler deploy --dispatch-namespace` sends the right form.",
  },
  "upload.metadata-refused": {
    status: 400,
    title: "The upload asks for something teams may not have",
    fix: "Remove what `errors` names, or ask ops for the grant.",
  },
  "upload.too-large": {
    status: 413,
    title: "The upload is too large",
    fix: "Keep the Worker under 10 MiB compressed and each asset under 25 MiB.",
  },
  "config.invalid": {
    status: 422,
    title: "The resulting configuration would be invalid",
    fix: "See `errors`; nothing was published.",
  },
  "config.nearly-full": {
    status: 409,
    title: "The configuration is nearly full",
    fix: "Routes cannot be added or enlarged, nor scripts put in service, until ops make room; switching off, deploying and removing still work.",
  },
  "config.not-published": {
    status: 503,
    title: "The change is recorded but not yet in force",
    fix: "It will be published within a minute or two. Look before sending anything again: a second rollback goes further back.",
  },
  "keys.none-to-sign": {
    status: 503,
    title: "There is no key to sign passports with",
    fix: "Tell the operators: the dispatcher can open no key of the config and has none of its own; see docs/runbooks/key-rotation.md.",
  },
  "keys.not-configured": {
    status: 409,
    title: "This installation cannot keep passport keys",
    fix: "Set the secret RING_KEY of the control plane and, with the same value, of the dispatcher; see docs/deploy.md.",
  },
  "keys.none-before": {
    status: 409,
    title: "There is no key to go back to",
    fix: "The former key verifies no longer, or not long enough. `sallyport keys list` shows the ring; rotate to get away from a bad key.",
  },
  "keys.ring-full": {
    status: 409,
    title: "The key ring is full",
    fix: "Wait until a retiring key is gone; `sallyport keys list` says when that is.",
  },
  "cloudflare.refused": {
    status: 502,
    title: "Cloudflare refused the script",
    fix: "See `detail` for its message; the version was not deployed.",
  },
  "cloudflare.unavailable": {
    status: 503,
    title: "Cloudflare's API does not answer",
    fix: "Try again; the upload is recorded and will not be made twice.",
  },
  "cloudflare.budget-spent": {
    status: 429,
    title: "The calls to Cloudflare's API are spent for the moment",
    fix: "Wait as long as Retry-After says and send it again; nothing is made twice. Ops have calls of their own for a rollback.",
  },
  internal: {
    status: 500,
    title: "Something went wrong in the gateway",
    fix: "Tell the operators the request id.",
  },
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof PROBLEMS

/** Path under which both the dispatcher and the control plane describe a code; used as RFC 9457 `type`. */
export function problemType(code: ProblemCode): string {
  return `/.sallyport/problems/${code}`
}
