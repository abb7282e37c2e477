// What the page knows: who is signed in, the route chosen, what was typed; and which meters are still to be read.

import { number, t } from "./words.js";

// `start` is who is signed in and the routes; `round` the chosen one with its meters.
export const state = { start: null, round: null, here: null, queue: [], form: null, said: "", signIn: false, all: false };

// What draws the page, and its line about the connection; round.js names them.
export const drawing = { draw: () => {}, drawConnection: () => {} };

export const nameOf = (route) => (route ? t("Route {route}", { route }) : t("Without a route"));
export const mine = () => state.queue.filter((entry) => entry.user === state.start?.user);
export const entryOf = (serial) => mine().findLast((entry) => entry.serial === serial);

// What was typed, as people read it.
export function shownOf({ kind, body }) {
  return kind === "read" ? `${number(body.reading_kwh)} kWh` : t("not read: {reason}", { reason: reasonOf(body.reason) });
}
export const reasonOf = (code) => state.start?.reasons.find((one) => one.code === code)?.label || code;

// `text` is English, for words.js to say.
export function stateOf(meter) {
  const entry = entryOf(meter.serial);
  if (entry && entry.state === "waiting") return { open: false, tone: "", text: "Waits to be sent" };
  if (entry && entry.outcome.tone !== "bad") {
    return { open: false, tone: entry.outcome.tone, text: entry.kind === "read" ? entry.outcome.title : "Not read" };
  }
  if (entry) return { open: true, tone: "bad", text: "Refused" };
  if (meter.missed && meter.due) return { open: false, tone: "warn", text: "Not read" };
  if (meter.asked) return { open: true, tone: "warn", text: "Read again" };
  if (!meter.due) return { open: false, tone: meter.waits ? "warn" : "good", text: meter.waits ? "Needs review" : "Read" };
  return { open: true, tone: "", text: "To read" };
}

export const openMeters = () => state.round.meters.filter((meter) => stateOf(meter).open);

export function nextDue(after) {
  const meters = state.round.meters;
  const at = meters.findIndex((meter) => meter.serial === after) + 1;
  return [...meters.slice(at), ...meters.slice(0, at)].find((meter) => stateOf(meter).open);
}
