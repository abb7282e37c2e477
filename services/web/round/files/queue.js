// What was typed is kept until it is sent, and what came of it until it was seen.
// An entry's key is made when it is typed: however often it is sent, it counts once.
import { timeOf } from "./clock.js";
import { ask } from "./network.js";
import { entries, put, remove } from "./store.js";
import { money, t } from "./words.js";

const asJson = (token, body) => ({
  method: "POST", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", "X-Page-Token": token },
});

// A title is English, for words.js to say; the text is as it was said when it was sent.
function outcomeOf({ ok, status, said }) {
  if (!ok) return { tone: "bad", title: "Refused", text: said.error?.message || t("The system refused this.") };
  if (!said.reading) return { tone: "good", title: "Noted", text: t("The office sees that it could not be read.") };
  const doubt = (said.validation.rules || []).find((rule) => rule.outcome === "review");
  if (said.reading.status === "needs_review") {
    return { tone: "warn", title: "Needs review", text: doubt?.message || said.validation.ai?.reasons?.join(" ") || said.explanation };
  }
  if (said.reading.status !== "accepted") return { tone: "bad", title: "Not accepted", text: said.explanation };
  // The amount of a draft may change: nobody tells it to the customer.
  const { bill, explanation: why } = said;
  const isDraft = bill && !bill.number;
  const billed = bill && !isDraft && t("Billed: {amount}.", { amount: money(bill.total, bill.currency) });
  const text = isDraft ? t("Not billed yet: {why}", { why: why.replace(/^The /, "the ") }) : [billed, why].filter(Boolean).join(" ");
  return { tone: status === 202 && said.bill ? "warn" : "good", title: "Accepted", text };
}

async function sendPhoto(entry, token) {
  const { ok, said } = await ask(`/round/photos/${entry.key}?meter=${encodeURIComponent(entry.serial)}`, {
    method: "PUT", body: entry.photo, headers: { "Content-Type": "image/jpeg", "X-Page-Token": token },
  });
  return ok ? "" : t("The photo was not kept: {problem}", { problem: said.error?.message || t("it was refused.") });
}

// The time of an entry is settled before it is sent first, and never again: the key stands for one body.
function timed(entry, now) {
  const name = entry.kind === "read" ? "read_at" : "missed_at";
  if (entry.body[name]) return entry;
  return { ...entry, body: { ...entry.body, [name]: new Date(timeOf(entry, now)).toISOString() } };
}

async function sendOne(entry, token) {
  await put(entry).catch(() => {});
  // The photo first: the reading is compared with it.
  if (entry.photo && !entry.photoSent) {
    entry.photoProblem = await sendPhoto(entry, token);
    entry.photoSent = true;
    await put(entry).catch(() => {});
  }
  const path = entry.kind === "read" ? "/webhook/meter-reading" : "/round/missed";
  const outcome = outcomeOf(await ask(path, asJson(token, entry.body)));
  if (entry.photoProblem) outcome.text += ` ${entry.photoProblem}`;
  const done = { ...entry, state: "done", outcome, photo: null };
  // On a full phone there is room once the entry with its photo is gone.
  await put(done).catch(() => remove(entry.key).then(() => put(done)));
}

// Sends what `user` typed, in order. Two tabs take turns. One that the server stumbles over holds up no other.
export function sendAll({ user, token, ahead }, tellChange) {
  const send = async () => {
    let stuck = null;
    for (const entry of await entries()) {
      if (entry.state !== "waiting" || entry.user !== user) continue;
      try {
        await sendOne(timed(entry, Date.now() + ahead), token);
        await tellChange();
      } catch (problem) {
        if (!problem.stuck) throw problem;
        stuck = problem;
      }
    }
    if (stuck) throw stuck;
  };
  return navigator.locks ? navigator.locks.request("round-send", send) : send();
}
