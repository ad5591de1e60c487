/** The baseline: a Worker of the kit without middleware. */
import { worker } from "../../kit/worker.ts"
import { ANSWER, PATH } from "./answer.ts"

const app = worker()
app.get(PATH, (c) => c.body(ANSWER, 200, { "content-type": "application/json" }))

export default app
