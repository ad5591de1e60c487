/** Runs with every test file in Node: whatever it is about, no server behind the entrance was shown a credential of the entrance. */
import { afterAll, expect } from "vitest"
import { takeCredentialsShown } from "./credentials-shown.ts"

afterAll(() => {
  expect(takeCredentialsShown()).toEqual([])
})
