/** Example sheets: rooms as `[x, y, width, height, name]` on a ground of 200 by 150. */
import { drawn } from "../../shared/shell.js"

export const SHEETS = [
  {
    sheet: "A-101",
    name: "Ground floor",
    rooms: [
      [20, 20, 80, 50, "Reading room"],
      [100, 20, 80, 30, "Office"],
      [100, 50, 80, 20, "Store"],
      [20, 70, 160, 60, "Hall"],
    ],
  },
  {
    sheet: "A-102",
    name: "First floor",
    rooms: [
      [20, 20, 55, 110, "Gallery"],
      [75, 20, 105, 55, "Stacks"],
      [75, 75, 50, 55, "Study"],
      [125, 75, 55, 55, "Terrace"],
    ],
  },
  {
    sheet: "S-201",
    name: "Foundations",
    rooms: [
      [20, 20, 160, 110, "Slab 300 mm"],
      [35, 35, 130, 80, "Pit"],
    ],
  },
]

/** The sheet as SVG; `view` is `[x, y, width, height]`. */
export function plan({ sheet, name, rooms }, view = [0, 0, 200, 150]) {
  const grid = [40, 80, 120, 160].map((x) => drawn("path", { class: "thin", d: `M${x} 8V142` }))
  return drawn(
    "svg",
    { class: "plan", viewBox: view.join(" "), role: "img", "aria-label": `Sheet ${sheet}, ${name}` },
    ...grid,
    ...rooms.flatMap(([x, y, width, height, label]) => [
      drawn("rect", { x, y, width, height }),
      drawn("text", { x: x + width / 2, y: y + 12 }, label),
    ]),
  )
}
