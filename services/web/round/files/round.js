// The page of a reading round: choose a route, read meter after meter, see what came of each.
import { ask, entries, keep, kept, Later, put, remove, sendAll, SignInFirst } from "./queue.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
// `start` is who is signed in and the routes; `round` the chosen one with its meters.
const state = { start: null, round: null, here: null, queue: [], form: null, said: "", signIn: false, all: false };

function h(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

const plural = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
const nameOf = (route) => (route ? `Route ${route}` : "Without a route");
const grouped = (text) => text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
const mine = () => state.queue.filter((entry) => entry.user === state.start?.user);
const entryOf = (serial) => mine().findLast((entry) => entry.serial === serial);

// ---- data: from the server while there is a connection, else as it was kept

async function load(refresh) {
  state.queue = await entries();
  if (!state.start) state.start = (await kept("start")) || null;
  if (!state.round) state.round = (await kept("round")) || null;
  draw();
  try {
    const { ok, said } = await ask("/round/start");
    if (!ok) return tell(said.error.message);
    state.signIn = false;
    if (state.round && state.start && said.user !== state.start.user) state.round = null;
    state.start = { ...said, clock: Date.parse(said.now) - Date.now() };
    await keep("start", state.start);
    tell("");
    await send();
    if (state.round && refresh) await openRoute(state.round.route);
  } catch (problem) {
    failed(problem);
  }
  draw();
}

async function openRoute(route) {
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
  await keep("round", state.round);
  if (!state.here || !meters.some((meter) => meter.serial === state.here)) state.here = nextDue()?.serial || null;
  draw();
}

async function send() {
  if (!state.start) return;
  try {
    await sendAll(state.start.user, state.start.token, async () => {
      state.queue = await entries();
      draw();
    });
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
    keep("start", null);
    keep("round", null);
  } else if (!(problem instanceof Later)) throw problem;
  tell(problem.message);
}

function tell(sentence) {
  state.said = sentence;
  drawConnection();
}

// ---- which meters are still to be read

function stateOf(meter) {
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

const openMeters = () => state.round.meters.filter((meter) => stateOf(meter).open);

function nextDue(after) {
  const meters = state.round.meters;
  const at = meters.findIndex((meter) => meter.serial === after) + 1;
  return [...meters.slice(at), ...meters.slice(0, at)].find((meter) => stateOf(meter).open);
}

// ---- what was typed

function plainNumber(typed) {
  let text = typed.trim().replace(/\p{Nd}/gu, (digit) => {
    let zero = digit.codePointAt(0);
    while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1)) && digit.codePointAt(0) - zero < 9) zero -= 1;
    return String(digit.codePointAt(0) - zero);
  }).replace(/\s/g, "");
  if (/^\d{1,3}(,\d{2,3})+$/.test(text)) {
    return { problem: "Type the number without commas between its digits, such as 1117 or 1117.5." };
  }
  text = text.replace(",", ".");
  if (!/^\d+(\.\d{1,3})?$/.test(text)) {
    return { problem: text ? `“${typed.trim()}” is not a number that a meter shows. Type it such as 1117 or 1117.5.` : "Type what the meter shows." };
  }
  return { text };
}

function isUnexpected(meter, text) {
  if (!meter.expected) return false;
  const value = Number(text), low = Number(meter.expected.low), high = Number(meter.expected.high);
  return low <= high ? value < low || value > high : value < low && value > high;
}

const timeNow = () => {
  // A phone's clock may be wrong; the server's was known at the last contact.
  const off = Math.abs(state.start.clock) > 30000 ? state.start.clock : 0;
  return new Date(Date.now() + off).toISOString();
};

async function queueRead(meter, value, registers) {
  const key = state.form.key;
  await add({
    key, kind: "read", serial: meter.serial, shown: `${grouped(value)} kWh`,
    body: { meter_serial: meter.serial, reading_kwh: value, read_at: timeNow(), idempotency_key: key,
      ...(Object.keys(registers).length ? { registers } : {}) },
  });
}

async function queueMissed(meter, reason, note) {
  const key = state.form.key;
  const label = state.start.reasons.find((one) => one.code === reason).label;
  await add({
    key, kind: "missed", serial: meter.serial, shown: `not read: ${label}`,
    body: { id: key, meter_serial: meter.serial, missed_at: timeNow(), reason, note },
  });
}

async function add(entry) {
  const form = state.form;
  if (form.sent) return;
  form.sent = true;
  // A refused one is replaced by what was typed now.
  try {
    await put({ ...entry, user: state.start.user, state: "waiting", typedAt: Date.now(), photo: form.photo });
    for (const old of mine()) if (old.serial === entry.serial && old.outcome?.tone === "bad") await remove(old.key);
    state.queue = await entries();
  } catch {
    form.sent = false;
    form.doubt = "";
    form.problem = "This phone has no room left to keep what you typed. Free some, or go on without a photo.";
    return draw();
  }
  state.here = nextDue(entry.serial)?.serial || null;
  state.form = null;
  draw();
  document.querySelector("input.value")?.focus({ preventScroll: true });
  await send();
}

// A photo is made small here: a phone's connection is slow, and nobody needs more to read a dial.
async function smallPhoto(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, 1600 / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  for (const quality of [0.8, 0.6, 0.4]) {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    if (blob && blob.size <= 900000) return blob;
  }
  throw new Error("too large");
}

// ---- drawing

// Drawing again must not take the field away in which somebody types.
function draw() {
  const typing = document.activeElement?.id, at = document.activeElement?.selectionStart;
  drawAll();
  const field = typing && document.getElementById(typing);
  if (!field || field === document.activeElement) return;
  field.focus({ preventScroll: true });
  if (typeof at === "number") field.setSelectionRange(at, at);
}

function drawAll() {
  drawConnection();
  if (state.signIn || !state.start) return show(signInFirst(), results());
  const round = state.round && state.round.user === state.start.user ? state.round : null;
  if (round) show(roundView());
  else show(results(), routesView());
}

const show = (...views) => main.replaceChildren(...views.flat().filter(Boolean));

function drawConnection() {
  const waiting = state.queue.filter((entry) => entry.state === "waiting");
  const others = waiting.filter((entry) => state.start && entry.user !== state.start.user);
  const said = [];
  if (state.said) said.push(state.said);
  if (waiting.length) said.push(`${plural(waiting.length, "entry").replace("entrys", "entries")} kept on this phone, to be sent.`);
  if (others.length) said.push(`${others.length} of them as ${others[0].user}: sign in as ${others[0].user} to send them.`);
  connection.className = state.said ? "off" : "";
  connection.textContent = said.join(" ") || (state.start ? "Connected. Everything is sent." : "Connecting …");
  if (state.start) document.getElementById("who").textContent = state.start.user;
}

function signInFirst() {
  if (!state.signIn) return [h("p", {}, state.said ? "Open this page once while you are connected." : "Connecting …")];
  return [h("h1", {}, "Sign in"), h("p", {}, "What you typed is kept on this phone."),
    h("p", {}, h("a", { href: "/submit-reading" }, "Sign in, then choose Today’s round"))];
}

function routesView() {
  const routes = state.start.routes;
  if (!routes.length) return [h("h1", {}, "No round"), h("p", {}, "No place has a meter that is read by hand.")];
  const more = state.start.more && h("button", { onclick: moreRoutes }, "More routes");
  return [h("h1", {}, "Choose your route"), ...routes.map((one) => h("button", { className: "row", onclick: () => chooseRoute(one.route) },
    h("span", {}, h("strong", {}, nameOf(one.route)), h("br"),
      h("span", { className: "soft" }, [plural(one.meters, "meter"), one.asked && `${one.asked} to read again`, one.missed && `${one.missed} not read today`].filter(Boolean).join(" · "))),
    h("span", { className: `tag ${one.still ? "" : "good"}` }, one.still ? `${one.still} to read` : "Done"))), more];
}

async function moreRoutes() {
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

async function chooseRoute(route) {
  state.here = null;
  await openRoute(route);
}

async function leaveRoute() {
  state.round = state.here = state.form = null;
  await keep("round", null);
  await load(false);
}

function roundView() {
  const { route, meters } = state.round;
  const left = openMeters();
  if (!state.here && left.length) state.here = left[0].serial;
  const here = meters.find((meter) => meter.serial === state.here);
  const shown = state.all ? meters : left;
  return [
    h("div", { className: "buttons" }, h("button", { onclick: leaveRoute }, "Other route"),
      h("button", { onclick: () => load(true) }, "Refresh")),
    h("h1", {}, `${nameOf(route)} · ${left.length ? `still to read ${left.length}` : "all read"}`),
    ...results(0, 1),
    h("div", { className: "two" },
      here ? meterCard(here) : h("div", { className: "card" }, h("strong", {}, "Nothing is left to read on this route.")),
      h("div", {}, ...results(1),
        h("label", { style: "margin:0 0 8px;font-weight:400" },
          h("input", { type: "checkbox", checked: state.all, onchange: (event) => { state.all = event.target.checked; draw(); } }),
          ` Show all ${meters.length}`),
        ...shown.slice(0, 300).map(meterRow),
        shown.length > 300 && h("p", { className: "soft" }, `And ${shown.length - 300} more after these.`),
        h("p", { className: "soft" }, "For another device: ", fileLink(route, "csv"), " · ", fileLink(route, "xlsx"),
          ". Filled in, the office imports it as readings."))),
  ];
}

const fileLink = (route, kind) =>
  h("a", { href: `/round/file/${kind}?${new URLSearchParams({ route })}` }, kind === "csv" ? "CSV" : "Excel");

function meterRow(meter) {
  const at = stateOf(meter);
  return h("button", { className: `row ${meter.serial === state.here ? "here" : ""}`, onclick: () => { state.here = meter.serial; state.form = null; draw(); scrollTo(0, 0); } },
    h("span", {}, h("strong", {}, meter.serial), h("br"), h("span", { className: "soft" }, meter.address || meter.code)),
    h("span", { className: `tag ${at.tone}` }, at.text));
}

// A random UUID. Browsers make them themselves only on https and on this machine.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function formOf(meter) {
  if (state.form?.serial !== meter.serial) {
    state.form = { serial: meter.serial, key: newKey(), value: "", registers: {}, photo: null, missed: false, reason: "", note: "", problem: "", doubt: "" };
  }
  return state.form;
}

function meterCard(meter) {
  const form = formOf(meter), at = stateOf(meter);
  const facts = [["Customer", meter.customer || "Vacant"], ["Place", meter.code],
    ["Last read", meter.last ? `${grouped(meter.last.kwh)} kWh on ${meter.last.on}` : "none"],
    ["Expected", meter.expected ? `${grouped(meter.expected.low)} to ${grouped(meter.expected.high)} kWh` : "not known yet"]];
  return h("div", { className: "card" },
    h("h1", {}, meter.serial), h("div", {}, meter.address),
    meter.access_note && h("div", { className: "note" }, meter.access_note),
    meter.asked && h("div", { className: "note" }, `The office asks for a new reading: ${meter.asked}`),
    meter.missed && h("div", { className: "note" }, `Not read today: ${meter.missed.reason}${meter.missed.note ? `. ${meter.missed.note}` : ""}`),
    h("dl", {}, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    !at.open && h("p", {}, h("span", { className: `tag ${at.tone}` }, at.text), meter.read_on ? ` on ${meter.read_on}` : ""),
    form.missed ? missedForm(meter, form) : readForm(meter, form));
}

function readForm(meter, form) {
  if (form.doubt) return doubtView(meter, form);
  const submit = async (event) => {
    event.preventDefault();
    await checkRead(meter, form);
  };
  return h("form", { onsubmit: submit, noValidate: true },
    h("label", { htmlFor: "value" }, "Reading (kWh)"),
    h("input", { id: "value", className: "value", inputMode: "decimal", autocomplete: "off", enterKeyHint: "done", value: form.value, maxLength: 24, oninput: (event) => { form.value = event.target.value; } }),
    meter.registers.map((register) => [
      h("label", { htmlFor: `register-${register.name}` }, `${register.label} (${register.unit})`),
      h("input", { id: `register-${register.name}`, inputMode: "decimal", autocomplete: "off", value: form.registers[register.name] || "", maxLength: 24, oninput: (event) => { form.registers[register.name] = event.target.value; } }),
      register.last && h("span", { className: "soft" }, `Last ${grouped(register.last)}`)]),
    photoField(form, "Photo of the dial"),
    form.problem && h("p", { className: "problem", role: "alert" }, form.problem),
    h("div", { className: "buttons" }, h("button", { className: "main", type: "submit" }, "Send reading")),
    h("div", { className: "buttons" },
      h("button", { type: "button", onclick: () => { form.missed = true; form.problem = ""; draw(); } }, "Could not read"),
      h("button", { type: "button", onclick: () => { state.here = nextDue(meter.serial)?.serial || meter.serial; state.form = null; draw(); } }, "Next meter")));
}

async function checkRead(meter, form) {
  const value = plainNumber(form.value);
  const registers = {};
  let problem = value.problem || "";
  for (const register of meter.registers) {
    const typed = plainNumber(form.registers[register.name] || "");
    if (typed.problem) problem ||= `${register.label}: ${typed.problem}`;
    else registers[register.name] = typed.text;
  }
  if (!problem && value.text.split(".")[0].replace(/^0+/, "").length > meter.dials) {
    problem = `This meter shows ${plural(meter.dials, "digit")} before the point; you typed more.`;
  }
  form.problem = problem;
  form.checked = { value: value.text, registers };
  if (!problem && isUnexpected(meter, value.text)) form.doubt = value.text;
  if (problem || form.doubt) return draw();
  await queueRead(meter, value.text, registers);
}

function doubtView(meter, form) {
  return h("div", {},
    h("h2", {}, `Really ${grouped(form.doubt)} kWh?`),
    h("p", {}, `Expected is ${grouped(meter.expected.low)} to ${grouped(meter.expected.high)}. If the meter shows it, send it: the office looks at it first.`),
    h("div", { className: "buttons" },
      h("button", { className: "main", onclick: () => { form.doubt = ""; draw(); document.getElementById("value").focus(); } }, "Correct it"),
      h("button", { onclick: () => queueRead(meter, form.checked.value, form.checked.registers) }, "The meter shows it")));
}

function missedForm(meter, form) {
  const submit = async (event) => {
    event.preventDefault();
    if (!form.reason) form.problem = "Choose why the meter could not be read.";
    else if (form.reason === "other" && !form.note.trim()) form.problem = "Write why the meter could not be read.";
    else return queueMissed(meter, form.reason, form.note.trim());
    draw();
  };
  return h("form", { onsubmit: submit, noValidate: true },
    h("label", { htmlFor: "reason" }, "Why it could not be read"),
    h("select", { id: "reason", onchange: (event) => { form.reason = event.target.value; } },
      h("option", { value: "" }, "Choose …"),
      state.start.reasons.map((one) => h("option", { value: one.code, selected: one.code === form.reason }, one.label[0].toUpperCase() + one.label.slice(1)))),
    h("label", { htmlFor: "note" }, "Note"),
    h("textarea", { id: "note", maxLength: 500, value: form.note, oninput: (event) => { form.note = event.target.value; } }),
    photoField(form, "Photo"),
    form.problem && h("p", { className: "problem", role: "alert" }, form.problem),
    h("div", { className: "buttons" }, h("button", { className: "main", type: "submit" }, "Could not read it")),
    h("div", { className: "buttons" }, h("button", { type: "button", onclick: () => { form.missed = false; form.problem = ""; draw(); } }, "Back to the reading")));
}

function photoField(form, label) {
  const choose = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      form.photo = await smallPhoto(file);
      form.problem = "";
    } catch {
      form.photo = null;
      form.problem = "This file is not a photo that can be used. Take another one.";
    }
    draw();
  };
  if (form.photo) {
    const address = URL.createObjectURL(form.photo);
    return [h("label", {}, label), h("img", { className: "photo", src: address, alt: label, onload: () => URL.revokeObjectURL(address) }),
      h("div", { className: "buttons" }, h("button", { type: "button", onclick: () => { form.photo = null; draw(); } }, "Remove the photo"))];
  }
  return [h("label", { htmlFor: "photo" }, `${label} (optional)`),
    h("input", { id: "photo", type: "file", accept: "image/*", capture: "environment", onchange: choose })];
}

// The newest stands above the next meter, the others below it, so that the next one is always near.
function results(from = 0, to = undefined) {
  const all = mine().filter((entry) => entry.state === "done").reverse();
  const done = all.slice(from, to);
  if (!done.length) return [];
  const seen = async (shown) => {
    for (const entry of shown) {
      await remove(entry.key);
      noteSeen(entry);
    }
    await keep("round", state.round);
    state.queue = await entries();
    draw();
  };
  return [h("h2", {}, from ? "Earlier results" : "Result"),
    ...done.map((entry) => h("div", { className: `result ${entry.outcome.tone}` },
      h("p", {}, h("strong", {}, `${entry.serial}, ${entry.shown}`), h("br"), `${entry.outcome.title}. ${entry.outcome.text}`),
      h("button", { onclick: () => seen([entry]), "aria-label": `Seen: ${entry.serial}` }, "Seen"))),
    done.length > 1 && h("div", { className: "buttons" }, h("button", { onclick: () => seen(all) }, "All seen"))];
}

// The row keeps its state after its message is gone.
function noteSeen(entry) {
  const meter = state.round?.meters.find((one) => one.serial === entry.serial);
  if (!meter || entry.outcome.tone === "bad") return;
  if (entry.kind === "missed") meter.missed = { reason: entry.shown.replace("not read: ", ""), note: entry.body.note };
  else Object.assign(meter, { due: false, asked: null, waits: entry.outcome.title === "Needs review" });
}

addEventListener("online", () => load(false));
addEventListener("offline", () => tell("There is no connection."));
setInterval(() => { if (state.queue.some((entry) => entry.state === "waiting") && navigator.onLine) load(false); }, 20000);
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/round/worker.js", { scope: "/round" }).catch(() => {});
// Reads that wait for a connection must not be cleared away by the phone.
navigator.storage?.persist?.();
load(true).catch(() => tell("This browser keeps no data for this page, so the round does not work in it. Leave private browsing."));
