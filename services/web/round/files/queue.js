// What was typed, kept in the browser until it is sent, and what came of it until it was seen.
// An entry's key is made when it is typed: however often it is sent, it counts once.

const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("reading-round", 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("entries", { keyPath: "key" });
    asked.result.createObjectStore("kept");
  };
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function inStore(name, mode, act) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const change = database.transaction(name, mode);
    const asked = act(change.objectStore(name));
    change.oncomplete = () => resolve(asked.result);
    change.onerror = change.onabort = () => reject(change.error);
  });
}

export const keep = (name, value) => inStore("kept", "readwrite", (store) => store.put(value, name));
export const kept = (name) => inStore("kept", "readonly", (store) => store.get(name));
export const put = (entry) => inStore("entries", "readwrite", (store) => store.put(entry));
export const remove = (key) => inStore("entries", "readwrite", (store) => store.delete(key));
export const entries = async () =>
  (await inStore("entries", "readonly", (store) => store.getAll())).sort((a, b) => a.typedAt - b.typedAt);

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
    throw new Later("There is no connection.");
  }
  if (answer.status === 401) throw new SignInFirst("Sign in again to go on.");
  // Not allowed: signed in anew in another tab, or as somebody else. Nothing typed is thrown away for that.
  if (answer.status === 403 || answer.status === 429 || answer.status >= 500) {
    throw new Later(said.error?.message || "Try again later.", answer.status === 500);
  }
  return { ok: answer.ok, status: answer.status, said };
}

const asJson = (token, body) => ({
  method: "POST", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", "X-Page-Token": token },
});

function money(bill) {
  try {
    return new Intl.NumberFormat(navigator.language, { style: "currency", currency: bill.currency }).format(bill.total);
  } catch {
    return `${bill.total} ${bill.currency}`;
  }
}

function outcomeOf({ ok, status, said }) {
  if (!ok) return { tone: "bad", title: "Refused", text: said.error?.message || "The system refused this." };
  if (!said.reading) return { tone: "good", title: "Noted", text: "The office sees that it could not be read." };
  const doubt = (said.validation.rules || []).find((rule) => rule.outcome === "review");
  if (said.reading.status === "needs_review") {
    return { tone: "warn", title: "Needs review", text: doubt?.message || said.validation.ai?.reason || said.explanation };
  }
  if (said.reading.status !== "accepted") return { tone: "bad", title: "Not accepted", text: said.explanation };
  const text = [said.bill && `Billed: ${money(said.bill)}.`, said.explanation].filter(Boolean).join(" ");
  return { tone: status === 202 && said.bill ? "warn" : "good", title: "Accepted", text };
}

async function sendPhoto(entry, token) {
  const { ok, said } = await ask(`/round/photos/${entry.key}?meter=${encodeURIComponent(entry.serial)}`, {
    method: "PUT", body: entry.photo, headers: { "Content-Type": "image/jpeg", "X-Page-Token": token },
  });
  return ok ? "" : `The photo was not kept: ${said.error?.message || "it was refused."}`;
}

async function sendOne(entry, token) {
  // The photo first: the reading is compared with it.
  if (entry.photo && !entry.photoSent) {
    entry.photoProblem = await sendPhoto(entry, token);
    entry.photoSent = true;
    await put(entry);
  }
  const path = entry.kind === "read" ? "/webhook/meter-reading" : "/round/missed";
  const outcome = outcomeOf(await ask(path, asJson(token, entry.body)));
  if (entry.photoProblem) outcome.text += ` ${entry.photoProblem}`;
  await put({ ...entry, state: "done", outcome, photo: null });
}

// Sends what `user` typed, in order. Two tabs take turns. One that the server stumbles over holds up no other.
export function sendAll(user, token, tellChange) {
  const send = async () => {
    let stuck = null;
    for (const entry of await entries()) {
      if (entry.state !== "waiting" || entry.user !== user) continue;
      try {
        await sendOne(entry, token);
        await tellChange(entry);
      } catch (problem) {
        if (!problem.stuck) throw problem;
        stuck = problem;
      }
    }
    if (stuck) throw stuck;
  };
  return navigator.locks ? navigator.locks.request("round-send", send) : send();
}
