import { element } from "../../shared/shell.js"
import { plan, SHEETS } from "./plan.js"

export const title = () => "All sheets"

export function content() {
  return [
    element("h1", {}, "Harbour Street Library"),
    element("p", { class: "lead" }, `${SHEETS.length} sheets`),
    element("ul", { class: "cards" }, ...SHEETS.map(card)),
  ]
}

function card(each) {
  return element(
    "li",
    { class: "card" },
    plan(each),
    element("h2", {}, element("a", { href: `/webclients/drawings/${each.sheet}` }, `${each.sheet} ${each.name}`)),
  )
}
