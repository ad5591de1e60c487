import { start } from "../shared/shell.js"

start({
  base: "/webclients/drawings",
  title: "Drawings",
  pages: [
    [/^\/$/, () => import("./pages/sheets.js")],
    [/^\/(?<sheet>[A-Z]-\d{3})$/, () => import("./pages/sheet.js")],
  ],
})
