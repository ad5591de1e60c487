import { watchAccount } from "../shared/account.js"
import { start } from "../shared/shell.js"

start({
  base: "/webclients/drawings",
  title: "Drawings",
  pages: [
    [/^\/$/, () => import("./pages/sheets.js")],
    [/^\/account$/, () => import("../shared/account-page.js")],
    [/^\/(?<sheet>[A-Z]-\d{3})$/, () => import("./pages/sheet.js")],
  ],
})

watchAccount()
