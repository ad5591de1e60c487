/** The page at /webclients/: leads to the apps, and shows what the gateway says of a request. Its files keep their names, so it is asked for anew each time. */
import { element, start } from "../shared/shell.js"

const APPS = [
  ["/webclients/projects/", "Projects", "A list to search and a page for each, found by its address."],
  ["/webclients/drawings/", "Drawings", "Sheets drawn as SVG, with a viewer that is loaded when it is first used."],
]

const home = {
  title: () => "Home",
  content: () => [
    element("h1", {}, "Web clients"),
    element(
      "p",
      { class: "lead" },
      "Single-page applications, served by a team's Worker from static assets behind the gateway.",
    ),
    element(
      "ul",
      { class: "cards" },
      ...APPS.map(([href, name, about]) =>
        element(
          "li",
          { class: "card" },
          element("h2", {}, element("a", { href }, name)),
          element("p", { class: "quiet" }, about),
        ),
      ),
    ),
  ],
}

const thisRequest = {
  title: () => "This request",
  content: async () => {
    const heading = element("h1", {}, "This request")
    try {
      const response = await fetch("/webclients/request.json")
      if (!response.ok) throw new Error(`The server answered ${response.status}.`)
      const facts = Object.entries(await response.json()).flatMap(([name, value]) => [
        element("dt", {}, name),
        element("dd", {}, value === null ? "not known" : String(value)),
      ])
      const about = "What the gateway told this Worker about your request:"
      return [heading, element("p", { class: "lead" }, about), element("dl", {}, ...facts)]
    } catch (error) {
      return [heading, element("p", {}, `It could not be loaded. ${error.message}`)]
    }
  },
}

start({
  base: "/webclients",
  title: "Example web client",
  pages: [
    [/^\/$/, async () => home],
    [/^\/request$/, async () => thisRequest],
  ],
})
