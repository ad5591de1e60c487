/** The page "Account" of both apps: whose session it is, and calls to the API with it. */
import { callApi, currentSession, loginAddress } from "./account.js"
import { element } from "./shell.js"

/** What the calls are answered with: by the cell that the route leads to, which says whose passport came with it. */
const CALLS = [
  ["/rest/v1.0/me", "Call the API"],
  ["/rest/v1.0/payments", "Call what needs a second factor"],
]

export const title = () => "Account"

export async function content() {
  const heading = element("h1", {}, "Account")
  const session = await currentSession().catch(() => null)
  const answer = element("div", { role: "status", class: "answer" })
  const buttons = CALLS.map(([path, label]) => {
    const button = element("button", { type: "button", class: "primary" }, label)
    button.addEventListener("click", () => void show(path, answer))
    return button
  })
  return [
    heading,
    ...(session === null ? nobody() : facts(session)),
    element("p", { class: "row" }, ...buttons),
    answer,
  ]
}

function nobody() {
  const pin = `/login/pin?${new URLSearchParams({ return_to: location.pathname })}`
  return [
    element("p", { class: "lead" }, "You are not logged in."),
    element(
      "p",
      {},
      element("a", { href: loginAddress() }, "Log in"),
      " or ",
      element("a", { href: pin }, "have a PIN sent by e-mail"),
    ),
  ]
}

function facts({ subject, idp, company, level, authenticatedAt, expiresAt }) {
  const rows = {
    "You are": subject,
    Company: company,
    Level: level,
    "Logged in with": idp,
    Since: time(authenticatedAt),
    Until: time(expiresAt),
  }
  const list = Object.entries(rows).flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, value === null ? "none" : String(value)),
  ])
  return [element("dl", {}, ...list)]
}

async function show(path, answer) {
  answer.replaceChildren(element("p", { class: "quiet" }, "Asking…"))
  try {
    const { response, login, why } = await callApi(path)
    if (login !== undefined) {
      answer.replaceChildren(element("p", {}, `${why} `, element("a", { href: login }, "Log in again")))
      return
    }
    const body = await response.json()
    const text = response.ok
      ? `Cell ${body.cell} knows you as ${body.passport.sub}, level ${body.passport.level ?? 0}.`
      : `${body.title} (${body.code})`
    answer.replaceChildren(element("p", {}, text))
  } catch (error) {
    answer.replaceChildren(element("p", {}, `It did not work. ${error.message}`))
  }
}

function time(text) {
  return new Date(text).toLocaleString()
}
