import { element } from "../../shared/shell.js"
import { plan, SHEETS } from "./plan.js"

const WHOLE = { width: 200, height: 150 }
const MAX_ZOOM = 4

const find = ({ sheet }) => SHEETS.find((each) => each.sheet === sheet)

export const title = (params) => find(params)?.name ?? "No such sheet"

export function content(params) {
  const found = find(params)
  const back = element("p", {}, element("a", { href: "/webclients/drawings/" }, "All sheets"))
  if (found === undefined) return [element("h1", {}, "No such sheet"), back]
  const picture = plan(found)
  const scale = element("output", { "aria-live": "polite" })
  let zoom = 1
  const show = (wanted) => {
    zoom = Math.min(MAX_ZOOM, Math.max(1, wanted))
    const [width, height] = [WHOLE.width / zoom, WHOLE.height / zoom]
    const view = [(WHOLE.width - width) / 2, (WHOLE.height - height) / 2, width, height]
    picture.setAttribute("viewBox", view.join(" "))
    scale.textContent = `${Math.round(zoom * 100)} %`
  }
  const button = (label, step) => {
    const made = element("button", { type: "button" }, label)
    made.addEventListener("click", () => show(step(zoom)))
    return made
  }
  show(1)
  return [
    element("h1", {}, `${found.sheet} ${found.name}`),
    element(
      "div",
      { class: "tools", role: "group", "aria-label": "Zoom" },
      button("Closer", (now) => now * 1.5),
      button("Farther", (now) => now / 1.5),
      button("Whole sheet", () => 1),
      scale,
    ),
    element("div", { class: "viewer" }, picture),
    back,
  ]
}
