/** A refusal that also has a number in Cloudflare's API: given by Cloudflare to us, or by wrangler's door to its client. A leaf. */
import type { ProblemCode } from "../../contracts/problem-codes.ts"
import { Refusal, type RefusalOptions } from "../../kit/problem.ts"

export class CodedRefusal extends Refusal {
  /** Such as 10021. */
  readonly cloudflareCode: number

  constructor(cloudflareCode: number, code: ProblemCode, options: RefusalOptions) {
    super(code, options)
    this.cloudflareCode = cloudflareCode
  }
}
