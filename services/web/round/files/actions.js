// What can be done on the page; everything is kept first, and drawn again after.
import { aheadOf } from "./clock.js";
import { ask, Later, SignInFirst } from "./network.js";
import { sendAll } from "./queue.js";
import { drawing, mine, nextDue, reasonOf, state } from "./state.js";
import { entries, keep, kept, put, remove } from "./store.js";
import { isUnexpected, plainNumber } from "./typed.js";
import { n, speak, t } from "./words.js";

const draw = () => drawing.draw();
const noRoom = () => t("This phone has no room left. Free some, or this page keeps nothing for when there is no connection.");

// Other tabs of this phone show the same entries.
const tabs = "BroadcastChannel" in window ? new BroadcastChannel("reading-round") : null;
tabs?.addEventListener("message", async () => {
  state.queue = await entries();
  draw();
});

async function queueChanged() {
  state.queue = await entries();
  tabs?.postMessage("changed");
  draw();
}

export async function load(refresh) {
  state.queue = await entries();
  // Who is signed in may read another language than the browser asks for.
  if (!state.start) speak(await kept("language"));
  if (!state.start) state.start = (await kept("start")) || null;
  if (!state.round) state.round = (await kept("round")) || null;
  draw();
  try {
    const { ok, said } = await ask("/round/start");
    if (!ok) return tell(said.error.message);
    state.signIn = false;
    // Somebody else is signed in now: the round, with its names, was of who was before.
    if (state.round && said.user !== state.round.user) {
      state.round = state.here = state.form = null;
      await keepForLater("round", null);
    }
    const contact = Date.parse(said.now);
    const { language, ...start } = said;
    state.start = { ...start, contact, ahead: aheadOf(contact, Date.now()) };
    speak(language);
    await keepForLater("language", language);
    tell("");
    await keepForLater("start", state.start);
    await send();
    if (state.round && refresh) await openRoute(state.round.route);
  } catch (problem) {
    failed(problem);
  }
  draw();
}

export async function openRoute(route) {
  const meters = [];
  let after = null;
  try {
    do {
      const asked = new URLSearchParams({ route });
      if (after) asked.set("after_sequence", after[0]), asked.set("after_code", after[1]);
      const { ok, said } = await ask(`/round/meters?${asked}`);
      if (!ok) return tell(said.error.message);
      meters.push(...said.meters);
      after = said.after;
    } while (after && meters.length < 5000);
  } catch (problem) {
    return failed(problem);
  }
  // Signed out in another tab meanwhile.
  if (!state.start) return;
  state.round = { route, meters, user: state.start.user };
  await keepForLater("round", state.round);
  if (!state.here || !meters.some((meter) => meter.serial === state.here)) state.here = nextDue()?.serial || null;
  draw();
}

export async function send() {
  if (!state.start) return;
  try {
    await sendAll(state.start, queueChanged);
    tell("");
  } catch (problem) {
    failed(problem);
  }
  state.queue = await entries();
  draw();
}

function failed(problem) {
  if (problem instanceof SignInFirst) {
    // Customers' names and addresses go with the sign-in; what was typed stays.
    Object.assign(state, { signIn: true, start: null, round: null, here: null, form: null });
    keepForLater("start", null);
    keepForLater("round", null);
  } else if (problem.name === "QuotaExceededError") return tell(noRoom());
  else if (!(problem instanceof Later)) throw problem;
  tell(problem.message);
}

// Without room the page goes on while there is a connection, and says so.
async function keepForLater(name, value) {
  try {
    await keep(name, value);
  } catch {
    tell(noRoom());
  }
}

export function tell(sentence) {
  state.said = sentence;
  drawing.drawConnection();
}

export async function queueRead(meter, value, registers) {
  const key = state.form.key;
  await add({
    key, kind: "read", serial: meter.serial,
    body: { meter_serial: meter.serial, reading_kwh: value, idempotency_key: key,
      ...(Object.keys(registers).length ? { registers } : {}) },
  });
}

export async function queueMissed(meter, reason, note) {
  const key = state.form.key;
  await add({
    key, kind: "missed", serial: meter.serial,
    body: { id: key, meter_serial: meter.serial, reason, note },
  });
}

async function add(entry) {
  const form = state.form;
  if (form.sent) return;
  form.sent = true;
  // A refused one is replaced by what was typed now.
  try {
    const { user, ahead, contact } = state.start;
    await put({ ...entry, user, ahead, contact, state: "waiting", typedAt: Date.now(), photo: form.photo });
    for (const old of mine()) if (old.serial === entry.serial && old.outcome?.tone === "bad") await remove(old.key);
    state.queue = await entries();
  } catch {
    form.sent = false;
    form.doubt = "";
    form.problem = t("This phone has no room left to keep what you typed. Free some, or go on without a photo.");
    return draw();
  }
  state.here = nextDue(entry.serial)?.serial || null;
  state.form = null;
  await queueChanged();
  document.querySelector("input.value")?.focus({ preventScroll: true });
  await send();
}

export async function moreRoutes() {
  try {
    const { ok, said } = await ask(`/round/routes?${new URLSearchParams({ after: state.start.routes.at(-1).route })}`);
    if (ok) {
      state.start.routes.push(...said.routes);
      state.start.more = said.more;
    }
  } catch (problem) {
    failed(problem);
  }
  draw();
}

export async function chooseRoute(route) {
  state.here = null;
  await openRoute(route);
}

export async function leaveRoute() {
  state.round = state.here = state.form = null;
  await keepForLater("round", null);
  await load(false);
}

// A random UUID. Browsers make them themselves only on https and on this machine.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export function formOf(meter) {
  if (state.form?.serial !== meter.serial) {
    state.form = { serial: meter.serial, key: newKey(), value: "", registers: {}, photo: null, missed: false, reason: "", note: "", problem: "", doubt: "" };
  }
  return state.form;
}

export async function checkRead(meter, form) {
  const value = plainNumber(form.value);
  const registers = {};
  let problem = value.problem || "";
  for (const register of meter.registers) {
    const typed = plainNumber(form.registers[register.name] || "");
    if (typed.problem) problem ||= `${register.label}: ${typed.problem}`;
    else registers[register.name] = typed.text;
  }
  if (!problem && value.text.split(".")[0].replace(/^0+/, "").length > meter.dials) {
    problem = n("This meter shows {count} digit before the point; you typed more.",
      "This meter shows {count} digits before the point; you typed more.", meter.dials);
  }
  form.problem = problem;
  form.checked = { value: value.text, registers };
  if (!problem && isUnexpected(meter, value.text)) form.doubt = value.text;
  if (problem || form.doubt) return draw();
  await queueRead(meter, value.text, registers);
}

// What came of some entries was seen.
export async function seen(shown) {
  for (const entry of shown) {
    await remove(entry.key);
    noteSeen(entry);
  }
  await keepForLater("round", state.round);
  await queueChanged();
}

// The row keeps its state after its message is gone.
function noteSeen(entry) {
  const meter = state.round?.meters.find((one) => one.serial === entry.serial);
  if (!meter || entry.outcome.tone === "bad") return;
  if (entry.kind === "missed") meter.missed = { reason: reasonOf(entry.body.reason), note: entry.body.note };
  else Object.assign(meter, { due: false, asked: null, waits: entry.outcome.title === "Needs review" });
}
