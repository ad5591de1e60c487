/**
 * login: the way from a person at an identity provider to a session at the edge. OpenID Connect's relying party (relying-party.ts), a PIN by e-mail as a second way (pin.ts),
 * logout here and from there. This file is the surface; what is checked stands in the files beside it.
 * It never sees the session cookie: whose session a request is, the passport says.
 */
import { REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { hashForKey } from "../../contracts/session.ts"
import { clientKey } from "../../kit/client-key.ts"
import { asksForFreshLogin, clearedFreshLoginCookie } from "../../kit/fresh-login-cookie.ts"
import { asRefusal, refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { returnTo } from "../../kit/return-to.ts"
import { clearedSessionCookie } from "../../kit/session-cookie.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { carryOut, readLogoutToken } from "./backchannel-logout.ts"
import { type Call, clientSecretOf, type Env } from "./env.ts"
import { browserSecret, loginCookie, makeSecret } from "./login-cookie.ts"
import { putLogin, takeLogin } from "./login-store.ts"
import { answerProblem, isForPeople } from "./page.ts"
import { addressPage, choicePage, loggedOutPage, logoutPage, pinForm, pinPage } from "./pages.ts"
import { redeemPin, sendPin } from "./pin.ts"
import { endSessionUrl } from "./provider-logout.ts"
import { formOf, one, whole } from "./query.ts"
import { beginLogin, finishLogin, type Party } from "./relying-party.ts"
import { requireSameOrigin } from "./same-origin.ts"
import { type Beginning, beginSession, endSession } from "./sessions.ts"
import { type ProviderSettings, type Settings, settingsOf } from "./settings.ts"

const LOGGED_OUT = "/login/logged-out"
const CALLBACK = "/login/callback"
/** A login leads to what it was for, never to another login. */
const NEVER_BACK_TO = ["/login"]

const app = worker<Env, PassportVariables>({ log: writeLog, render: answerProblem })
app.use(tracing({ service: "login" }))
app.use(requirePassport({ script: "login" }))
app.get("/login/start", start)
app.get(CALLBACK, callback)
app.get(`${CALLBACK}/:idp`, callback)
app.get("/login/pin", askForAddress)
app.post("/login/pin", takeAddress)
app.post("/login/pin/verify", takePin)
app.get("/login/logout", askWhetherToLogOut)
app.post("/login/logout", logOut)
app.get(LOGGED_OUT, loggedOutPage)
app.post("/login/backchannel-logout", backchannelLogout)
export default app

async function start(c: Call): Promise<Response> {
  const settings = settingsOf(c.env)
  const query = new URL(c.req.url).searchParams
  const provider = providerOf(settings, one(query, "idp"))
  if (provider === null) return choicePage(settings, query)
  const party = partyOf(c, provider)
  const askedS = whole(query, "max_age", 31_536_000)
  const wishes = { level: whole(query, "level", 3) ?? 0, maxAgeS: asksForFreshLogin(c.req.raw) ? 0 : askedS }
  const origin = originOf(c, settings)
  // With several providers each answers at a path of its own, so that one cannot pass another's answer off as its own (RFC 9700 §4.4.2.2).
  const redirectUri = origin + (settings.providers.length > 1 ? `${CALLBACK}/${provider.idp}` : CALLBACK)
  const { state, login, url } = await beginLogin(party, redirectUri, wishes)
  const secret = browserSecret(c.req.raw) ?? makeSecret()
  const pending = { ...login, ...wishes, idp: provider.idp, redirectUri, startedAtMs: Date.now() }
  const back = returnTo(one(query, "return_to"), origin, NEVER_BACK_TO)
  await putLogin(c.env.LOGINS, state, ownerOf(c, secret), { ...pending, returnTo: back })
  return redirect(302, url.href, loginCookie(secret))
}

async function callback(c: Call): Promise<Response> {
  const settings = settingsOf(c.env)
  const { searchParams, pathname } = new URL(c.req.url)
  const secret = browserSecret(c.req.raw)
  const state = one(searchParams, "state")
  const login = secret === null || state === null ? null : await takeLogin(c.env.LOGINS, state, secret)
  const provider = login === null ? null : providerOf(settings, login.idp)
  if (login === null || state === null || provider === null) throw refuse("login.state-unknown")
  const { idp } = provider
  try {
    if (new URL(login.redirectUri).pathname !== pathname) throw refuse("login.answer-invalid")
    const identity = await finishLogin(partyOf(c, provider), searchParams, state, login)
    if (identity.level < login.level) throw refuse("login.level-not-reached")
    const { startedAtMs } = login
    return await logIn(c, settings, { idp, identity, startedAtMs }, login.returnTo, "provider")
  } catch (thrown) {
    const { code, cause } = asRefusal(thrown)
    audit(c, "login-refused", { idp, code, why: cause instanceof Error ? cause.message : null }, null)
    throw thrown
  }
}

/** The one place where a session begins. */
async function logIn(
  c: Call,
  settings: Settings,
  who: Pick<Beginning, "idp" | "identity" | "startedAtMs">,
  back: string,
  by: string,
): Promise<Response> {
  const { passport } = c.var
  const userAgent = c.req.header("user-agent") ?? null
  const session = await beginSession(c.env, settings, { ...who, passport, userAgent })
  const { level, subject } = who.identity
  const facts = { idp: who.idp, by, session: session.handle, level, ended: passport.sid ?? null }
  audit(c, "login", facts, subject)
  const memory = asksForFreshLogin(c.req.raw) ? [clearedFreshLoginCookie()] : []
  return redirect(303, returnTo(back, originOf(c, settings), NEVER_BACK_TO), session.cookie, ...memory)
}

async function logOut(c: Call): Promise<Response> {
  const settings = settingsOf(c.env)
  requireSameOrigin(c.req.raw, settings.publicOrigin)
  const { sid, idp, sub } = c.var.passport
  if (sid !== undefined) {
    await endSession(c.env, settings, sid, "logged out")
    audit(c, "logout", { idp: idp ?? null, session: sid }, sub)
  }
  const provider = sid === undefined ? null : providerOfSession(settings, idp)
  const local = originOf(c, settings) + LOGGED_OUT
  const next = (provider && (await endSessionUrl(partyOf(c, provider), local))) ?? LOGGED_OUT
  if (isForPeople(c.req.raw)) return redirect(303, next, clearedSessionCookie())
  return Response.json({ next }, { headers: { "set-cookie": clearedSessionCookie(), "cache-control": "no-store" } })
}

async function askWhetherToLogOut(c: Call): Promise<Response> {
  const provider = providerOfSession(settingsOf(c.env), c.var.passport.idp)
  const leadsTo = provider && (await endSessionUrl(partyOf(c, provider), LOGGED_OUT))
  return logoutPage(leadsTo === null ? null : new URL(leadsTo).origin)
}

async function backchannelLogout(c: Call): Promise<Response> {
  const { providers } = settingsOf(c.env)
  const notice = await readLogoutToken(c.req.raw, (issuer) => {
    const provider = providers.find((each) => each.issuer === issuer)
    return provider === undefined ? null : partyOf(c, provider)
  })
  const ended = await carryOut(c.env, notice)
  audit(c, "backchannel-logout", { idp: notice.idp, ended }, notice.subject)
  return new Response(null, { headers: { "cache-control": "no-store" } })
}

function askForAddress(c: Call): Promise<Response> {
  requirePins(settingsOf(c.env))
  return addressPage(one(new URL(c.req.url).searchParams, "return_to") ?? "/")
}

async function takeAddress(c: Call): Promise<Response> {
  const settings = settingsOf(c.env)
  requirePins(settings)
  requireSameOrigin(c.req.raw, settings.publicOrigin)
  const form = await formOf(c.req.raw)
  const secret = browserSecret(c.req.raw) ?? makeSecret()
  const back = returnTo(one(form, "return_to"), originOf(c, settings), NEVER_BACK_TO)
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work)
  const id = await sendPin(c.env, settings, one(form, "email") ?? "", ownerOf(c, secret), back, waitUntil)
  audit(c, "pin-asked", { pin: id }, null)
  return pinPage(id, loginCookie(secret))
}

async function takePin(c: Call): Promise<Response> {
  const settings = settingsOf(c.env)
  requirePins(settings)
  requireSameOrigin(c.req.raw, settings.publicOrigin)
  const form = await formOf(c.req.raw)
  const [id, pin, secret] = [one(form, "id") ?? "", (one(form, "pin") ?? "").trim(), browserSecret(c.req.raw)]
  if (secret === null) throw refuse("login.pin-wrong")
  const redeemed = await redeemPin(c.env, settings, id, pin, secret)
  if (redeemed === null) {
    const wrong = refuse("login.pin-wrong")
    return answerProblem(wrong, c.req.header(REQUEST_ID_HEADER) ?? "", c.req.raw, pinForm(id))
  }
  const { who, returnTo: back } = redeemed
  const nowMs = Date.now()
  const { idp, ...known } = who
  const identity = { ...known, level: 1, authenticatedAtMs: nowMs, idpSession: null }
  return logIn(c, settings, { idp, identity, startedAtMs: nowMs }, back, "pin")
}

/** The named one, or the only one; null when there are several to choose from. Refuses `login.request-invalid` for one that is not configured. */
function providerOf({ providers }: Settings, idp: string | null): ProviderSettings | null {
  if (idp === null) return providers.length === 1 ? (providers[0] ?? null) : null
  const named = providers.find((each) => each.idp === idp)
  if (named === undefined) throw refuse("login.request-invalid")
  return named
}

/** Null for a session of none that is configured: one begun by a PIN, or by a provider that has been taken away since. Logging out works all the same. */
function providerOfSession({ providers }: Settings, idp: string | undefined): ProviderSettings | null {
  return providers.find((each) => each.idp === idp) ?? null
}

function requirePins({ mailUrl }: Settings): void {
  if (mailUrl === "") throw refuse("route.not-found")
}

function partyOf(c: Call, settings: ProviderSettings): Party {
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work)
  return { settings, clientSecret: clientSecretOf(c.env, settings.idp), waitUntil }
}

function originOf(c: Call, { publicOrigin }: Settings): string {
  return publicOrigin === "" ? new URL(c.req.url).origin : publicOrigin
}

function ownerOf(c: Call, browser: string) {
  return { browser, client: clientKey(c.var.passport.facts.ip) }
}

function redirect(status: 302 | 303, location: string, ...cookies: readonly string[]): Response {
  const headers = new Headers({ location, "cache-control": "no-store", "referrer-policy": "no-referrer" })
  for (const cookie of cookies) headers.append("set-cookie", cookie)
  return new Response(null, { status, headers })
}

/** One line behind the answer: what was done, by which request. The subject is hashed, for it may be an address; ids of sessions are handles. */
function audit(c: Call, event: string, facts: Readonly<Record<string, unknown>>, subject: string | null): void {
  const write = async () => {
    const who = subject === null ? null : await hashForKey([String(facts.idp), subject])
    writeLog(Object.assign({ event }, { requestId: c.req.header(REQUEST_ID_HEADER) ?? null, subject: who, ...facts }))
  }
  c.executionCtx.waitUntil(write())
}
