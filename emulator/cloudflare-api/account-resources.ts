/** What the emulated account has from the beginning, beside what is made in it through the API. */

/** Id of the KV namespace that sessions lie in: the account's dispatcher reads it, and Workers of teams with the grant for it write it. One id in every state, because the dispatcher is bound before anybody could ask for another. */
export const SESSIONS_NAMESPACE_ID = "sallyport-sessions"
