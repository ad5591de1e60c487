import { watchAccount } from "../shared/account.js"
import { start } from "../shared/shell.js"

start({
  base: "/webclients/projects",
  title: "Projects",
  pages: [
    [/^\/$/, () => import("./pages/list.js")],
    [/^\/account$/, () => import("../shared/account-page.js")],
    [/^\/(?<id>\d{1,20})$/, () => import("./pages/project.js")],
  ],
})

watchAccount()
