// Two pages without a framework. Text is only ever set as text, never as markup.

const pages = { "/webclients/": home, "/webclients/request": thisRequest }
const main = document.querySelector("main")

document.addEventListener("click", (event) => {
  const link = event.target.closest("a")
  if (link === null || event.metaKey || event.ctrlKey || !(link.pathname in pages)) return
  event.preventDefault()
  history.pushState(null, "", link.pathname)
  void show().then(() => main.focus())
})
window.addEventListener("popstate", show)
void show()

async function show() {
  const path = location.pathname === "/webclients" ? "/webclients/" : location.pathname
  for (const link of document.querySelectorAll("nav a")) {
    if (link.pathname === path) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  const asked = location.href
  const content = await (pages[path] ?? notFound)()
  // The reader may have gone on while this page was loading.
  if (location.href !== asked) return
  document.title = `${content[0].textContent} – Example web client`
  main.replaceChildren(...content)
}

function home() {
  return [
    element("h1", "Home"),
    element("p", "This single-page application is served by a team's Worker from static assets, behind the gateway."),
  ]
}

async function thisRequest() {
  try {
    const response = await fetch("/webclients/request.json")
    if (!response.ok) throw new Error(`The server answered ${response.status}.`)
    const list = document.createElement("dl")
    for (const [name, value] of Object.entries(await response.json())) {
      list.append(element("dt", name), element("dd", value === null ? "not known" : String(value)))
    }
    return [element("h1", "This request"), element("p", "What the gateway told this Worker about your request:"), list]
  } catch (error) {
    return [element("h1", "This request"), element("p", `It could not be loaded. ${error.message}`)]
  }
}

function notFound() {
  return [element("h1", "Not found"), element("p", "There is no such page here.")]
}

function element(name, text) {
  const made = document.createElement(name)
  made.textContent = text
  return made
}
