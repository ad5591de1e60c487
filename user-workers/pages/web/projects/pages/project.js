import { element } from "../../shared/shell.js"
import { PROJECTS } from "./data.js"

const find = ({ id }) => PROJECTS.find((each) => each.id === id)

export const title = (params) => find(params)?.name ?? "No such project"

export function content(params) {
  const project = find(params)
  const back = element("p", {}, element("a", { href: "/webclients/projects/" }, "All projects"))
  if (project === undefined) return [element("h1", {}, "No such project"), back]
  const { name, place, stage, done, budget, id } = project
  const facts = { place, stage, budget, "project id": id, done: `${done} %` }
  return [
    element("h1", {}, name),
    element("p", { class: "lead" }, `${stage} in ${place}`),
    element("progress", { max: "100", value: String(done), "aria-label": `${done} % done` }),
    element(
      "dl",
      {},
      ...Object.entries(facts).flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]),
    ),
    back,
  ]
}
