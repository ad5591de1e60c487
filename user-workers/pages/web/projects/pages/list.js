import { element } from "../../shared/shell.js"
import { PROJECTS } from "./data.js"

export const title = () => "All projects"

export function content() {
  const list = element("ul", { class: "cards" })
  const count = element("p", { class: "quiet", role: "status" })
  const search = element("input", { class: "search", type: "search", id: "search", autocomplete: "off" })
  const show = () => {
    const wanted = search.value.trim().toLowerCase()
    const found = PROJECTS.filter(({ name, place }) => `${name} ${place}`.toLowerCase().includes(wanted))
    list.replaceChildren(...found.map(card))
    count.textContent = found.length === 1 ? "1 project" : `${found.length} projects`
  }
  search.addEventListener("input", show)
  show()
  return [
    element("h1", {}, "All projects"),
    element("p", { class: "row" }, element("label", { for: "search" }, "Find by name or place"), search),
    count,
    list,
  ]
}

function card({ id, name, place, stage, done }) {
  return element(
    "li",
    { class: "card" },
    element("h2", {}, element("a", { href: `/webclients/projects/${id}` }, name)),
    element("p", { class: "quiet" }, place),
    element("span", { class: "stage" }, stage),
    element("progress", { max: "100", value: String(done), "aria-label": `${name}: ${done} % done` }),
  )
}
