// Requests to the server, and what keeps an answer from coming.

import { t } from "./words.js";

// Nothing that the server says for good; the same is sent again later. `stuck` is about this one alone.
export class Later extends Error {
  constructor(message, stuck = false) {
    super(message);
    this.stuck = stuck;
  }
}
export class SignInFirst extends Later {}

export async function ask(path, options = {}) {
  let answer, said;
  try {
    answer = await fetch(path, {
      credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(60000), ...options,
    });
    said = await answer.json();
  } catch {
    throw new Later(t("There is no connection."));
  }
  if (answer.status === 401) throw new SignInFirst(t("Sign in again to go on."));
  // Not allowed: signed in again in another tab, or as somebody else. Nothing typed is thrown away for that.
  if (answer.status === 403 || answer.status === 429 || answer.status >= 500) {
    throw new Later(said.error?.message || t("Try again later."), answer.status === 500);
  }
  return { ok: answer.ok, status: answer.status, said };
}
