/**
 * What the example apps share, without a framework: pages by path, each in a chunk of its own, and a switch for the theme.
 * Text is only ever set as text, never as markup, so that the policy can require Trusted Types.
 */

/**
 * Shows the page for the address, now and whenever it changes.
 * `pages` are `[pattern, load]`: a pattern with named groups, matched against what follows `base`, and what resolves to a module with
 * `title(params)` and `content(params)`.
 * @param {{ base: string, title: string, pages: readonly (readonly [RegExp, () => Promise<any>])[] }} app
 */
export function start({ base, title, pages }) {
  const main = document.querySelector("main")

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a")
    if (link === null || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey) return
    if (link.origin !== location.origin || !find(link.pathname)) return
    event.preventDefault()
    history.pushState(null, "", link.href)
    void show().then(() => main.focus())
  })
  window.addEventListener("popstate", show)
  addThemeSwitch()
  void show()

  function find(path) {
    const rest = path === base ? "/" : path.startsWith(`${base}/`) ? path.slice(base.length) : null
    if (rest === null) return null
    for (const [pattern, load] of pages) {
      const match = pattern.exec(rest)
      if (match !== null) return { load, params: match.groups ?? {} }
    }
    return null
  }

  async function show() {
    const asked = location.href
    for (const link of document.querySelectorAll("nav a")) {
      const isHere = link.pathname.replace(/\/$/, "") === location.pathname.replace(/\/$/, "")
      if (isHere) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
    const found = find(location.pathname)
    const page = found === null ? NOT_FOUND : await found.load().catch(() => TOO_OLD)
    const content = await page.content(found?.params ?? {})
    // The reader may have gone on while this page was loading.
    if (location.href !== asked) return
    document.title = `${page.title(found?.params ?? {})} – ${title}`
    main.replaceChildren(...content)
  }
}

const NOT_FOUND = {
  title: () => "Not found",
  content: () => [element("h1", {}, "Not found"), element("p", { class: "lead" }, "There is no such page here.")],
}

/** A chunk that cannot be had: this tab is older than what the servers keep, or offline. */
const TOO_OLD = {
  title: () => "Reload",
  content: () => {
    const reload = element("button", { type: "button", class: "primary" }, "Reload")
    reload.addEventListener("click", () => location.reload())
    const why = "This page could not be loaded. A newer version may have been published since you opened the tab."
    return [element("h1", {}, "Please reload"), element("p", { class: "lead" }, why), reload]
  },
}

function addThemeSwitch() {
  const button = document.querySelector("#theme")
  if (button === null) return
  const root = document.documentElement
  const isDark = () => getComputedStyle(root).colorScheme === "dark" || (!root.dataset.theme && prefersDark.matches)
  const prefersDark = matchMedia("(prefers-color-scheme: dark)")
  const tell = () => button.setAttribute("aria-pressed", String(isDark()))
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark"
    try {
      localStorage.setItem("theme", root.dataset.theme)
    } catch {
      // Storage may be off; then the choice lasts as long as the page.
    }
    tell()
  })
  tell()
}

/** An element with attributes and children; a child that is no node becomes text. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

/** The same for SVG. */
export function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children)
}

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}
