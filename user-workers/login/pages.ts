/** The few pages that people see here, beside those that say what went wrong (page.ts). */
import { html, page } from "./page.ts"
import type { Settings } from "./settings.ts"

/** When there are several to log in with. `query` goes on to the one that is chosen. */
export function choicePage({ providers, mailUrl }: Settings, query: URLSearchParams): Promise<Response> {
  const links = providers.map(({ idp }) => {
    const wanted = new URLSearchParams(query)
    wanted.set("idp", idp)
    return html`<p><a href="/login/start?${wanted.toString()}">${idp}</a></p>`
  })
  const pin = mailUrl === "" ? html`` : html`<p><a href="/login/pin?${query.toString()}">A PIN by e-mail</a></p>`
  return page("Log in with", html`${links}${pin}`)
}

/** `leadsTo`: the origin to which the provider's own logout leads. */
export function logoutPage(leadsTo: string | null): Promise<Response> {
  const body = html`<form method="post" action="/login/logout"><button>Log out</button></form><p><a href="/">Stay</a></p>`
  return page("Log out?", body, { formsTo: leadsTo === null ? [] : [leadsTo] })
}

/** Not every provider ends its own session, and of one that was over here already nobody asks it to. */
export function loggedOutPage(): Promise<Response> {
  const body = html`<p>Your session here is over. On a shared computer, see that you are logged out at your identity provider too.</p>
<p><a href="/login/start">Log in again</a></p>`
  return page("You are logged out", body)
}

/** `back`: where to go afterwards, not checked yet. */
export function addressPage(back: string): Promise<Response> {
  const body = html`<form method="post" action="/login/pin"><input type="hidden" name="return_to" value="${back}">
<label>E-mail address <input type="email" name="email" autocomplete="email" required autofocus></label><button>Send a PIN</button></form>`
  return page("Log in with a PIN", body)
}

/** The same for every address. */
export function pinPage(id: string, cookie: string): Promise<Response> {
  const body = html`<p>If somebody may log in by this address, a PIN is on its way to it.</p>${pinForm(id)}`
  return page("Look into your mail", body, { headers: new Headers({ "set-cookie": cookie }) })
}

export function pinForm(id: string) {
  return html`<form method="post" action="/login/pin/verify"><input type="hidden" name="id" value="${id}">
<label>PIN <input name="pin" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{8}" maxlength="8" required autofocus></label><button>Log in</button></form>`
}
