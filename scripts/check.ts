/** `npm run check`: formatter, linter, types twice, and the rules about imports and files. Exactly what `npm test` runs first. */
import { CHECKS, runSteps } from "./steps.ts"

const failed = await runSteps([
  ...CHECKS,
  {
    name: "imports, cycles and file hygiene",
    command: ["vitest", "run", "--project", "node", "--reporter=dot", "tests/boundaries", "tests/hygiene"],
  },
])
process.exitCode = failed.length === 0 ? 0 : 1
