/**
 * Who is logged in, and calls to the API in their name. The session's cookie is out of reach of scripts: the gateway says whose it is, and takes it with every request of this origin.
 * When a session ends, the next call says so, and the page leads to the login and back to where it was.
 */
import { element } from "./shell.js"

const SESSION = "/.sallyport/session"
/** Tells this app's other tabs that somebody logged out. */
const tabs = typeof BroadcastChannel === "function" ? new BroadcastChannel("account") : null

/** `{ subject, company, level, … }`, or null for nobody. */
export async function currentSession() {
  const response = await fetch(SESSION, { headers: { accept: "application/json" } })
  if (response.ok) return response.json()
  if (response.status === 401) return null
  throw new Error(`The server answered ${response.status}.`)
}

/** Where to log in so as to come back here. `wishes`: `level`, `max_age`. */
export function loginAddress(wishes = {}) {
  const here = location.pathname + location.search
  return `/login/start?${new URLSearchParams({ return_to: here, ...wishes })}`
}

/**
 * Calls the API with the session. Resolves to `{ response }`, or to `{ login, why }` when one has to log in first: `login` is where.
 */
export async function callApi(path, init = {}) {
  const response = await fetch(path, { ...init, headers: { accept: "application/json", ...init.headers } })
  if (response.status !== 401) return { response }
  const { code = "" } = await response.json().catch(() => ({}))
  void showAccount()
  if (code === "auth.step-up-required") {
    const challenge = response.headers.get("www-authenticate") ?? ""
    const level = /acr_values="([0-9]+)"/.exec(challenge)?.[1]
    const age = /max_age="([0-9]+)"/.exec(challenge)?.[1]
    const wishes = { ...(level && { level }), ...(age && { max_age: age }) }
    return { login: loginAddress(wishes), why: "For this you have to prove once more who you are." }
  }
  // After a revocation an old proof would be refused again.
  if (code === "auth.revoked") return { login: loginAddress({ max_age: "0" }), why: "Your session was ended." }
  const isOver = code === "auth.session-expired"
  return { login: loginAddress(), why: isOver ? "Your session is over." : "You are not logged in." }
}

/** Ends the session here, and goes to where the identity provider ends its own. */
export async function logOut() {
  const response = await fetch("/login/logout", { method: "POST", headers: { accept: "application/json" } })
  // With a session that is over already the edge refuses every request, this one too. The page it goes to says that the provider's own session may go on.
  const isOver = response.status === 401
  if (!response.ok && !isOver) throw new Error(`The server answered ${response.status}.`)
  tabs?.postMessage("out")
  const { next } = isOver ? { next: "/login/logged-out" } : await response.json()
  location.assign(next)
}

/** Fills the header's place for it, now and when another tab logs out. */
export function watchAccount() {
  if (document.querySelector("#account") === null) return
  tabs?.addEventListener("message", () => {
    void showAccount()
    // The page may show what was that person's.
    window.dispatchEvent(new PopStateEvent("popstate"))
  })
  window.addEventListener("pageshow", (event) => event.persisted && void showAccount())
  void showAccount()
}

async function showAccount() {
  const place = document.querySelector("#account")
  if (place === null) return
  const session = await currentSession().catch(() => undefined)
  if (session === undefined) return place.replaceChildren()
  if (session === null) return place.replaceChildren(element("a", { href: loginAddress(), class: "login" }, "Log in"))
  const out = element("button", { type: "button" }, "Log out")
  out.addEventListener("click", () => {
    out.disabled = true
    logOut().catch((error) => {
      out.disabled = false
      out.textContent = `Log out: ${error.message}`
    })
  })
  place.replaceChildren(element("span", { class: "who" }, session.subject), out)
}
