// Draws the page as its state is: sign-in, routes, a round, and what came of what was sent.
import { chooseRoute, leaveRoute, load, moreRoutes, seen } from "./actions.js";
import { h } from "./elements.js";
import { meterCard } from "./meter.js";
import { mine, nameOf, openMeters, shownOf, state, stateOf } from "./state.js";
import { n, t } from "./words.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");

// Drawing again must not take the field away in which somebody types.
export function draw() {
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

export function drawConnection() {
  const waiting = state.queue.filter((entry) => entry.state === "waiting");
  const others = waiting.filter((entry) => state.start && entry.user !== state.start.user);
  const said = [];
  if (state.said) said.push(state.said);
  if (waiting.length) {
    said.push(n("{count} entry kept on this phone, to be sent.", "{count} entries kept on this phone, to be sent.", waiting.length));
  }
  if (others.length) {
    const text = "{count} of them as {user}: sign in as {user} to send them.";
    said.push(n(text, text, others.length, { user: others[0].user }));
  }
  connection.className = state.said ? "off" : "";
  connection.textContent = said.join(" ") || (state.start ? t("Connected. Everything is sent.") : t("Connecting …"));
  if (state.start) document.getElementById("who").textContent = state.start.user;
}

function signInFirst() {
  if (!state.signIn) return [h("p", {}, state.said ? t("Open this page once while you are connected.") : t("Connecting …"))];
  return [h("h1", {}, t("Sign in")), h("p", {}, t("What you typed is kept on this phone.")),
    h("p", {}, h("a", { href: "/submit-reading" }, t("Sign in, then choose Today’s round")))];
}

function routesView() {
  const routes = state.start.routes;
  if (!routes.length) return [h("h1", {}, t("No round")), h("p", {}, t("No place has a meter that is read by hand."))];
  const more = state.start.more && h("button", { onclick: moreRoutes }, t("More routes"));
  return [h("h1", {}, t("Choose your route")), ...routes.map((one) => h("button", { className: "row", onclick: () => chooseRoute(one.route) },
    h("span", {}, h("strong", {}, nameOf(one.route)), h("br"),
      h("span", { className: "soft" }, [n("{count} meter", "{count} meters", one.meters), one.asked && t("{asked} to read again", one), one.missed && t("{missed} not read today", one)].filter(Boolean).join(" · "))),
    h("span", { className: `tag ${one.still ? "" : "good"}` }, one.still ? t("{still} to read", one) : t("Done")))), more];
}

function roundView() {
  const { route, meters } = state.round;
  const left = openMeters();
  if (!state.here && left.length) state.here = left[0].serial;
  const here = meters.find((meter) => meter.serial === state.here);
  const shown = state.all ? meters : left;
  return [
    h("div", { className: "buttons" }, h("button", { onclick: leaveRoute }, t("Other route")),
      h("button", { onclick: () => load(true) }, t("Refresh"))),
    h("h1", {}, `${nameOf(route)} · ${left.length ? t("still to read {count}", { count: left.length }) : t("all read")}`),
    ...results(0, 1),
    h("div", { className: "two" },
      here ? meterCard(here) : h("div", { className: "card" }, h("strong", {}, t("Nothing is left to read on this route."))),
      h("div", {}, ...results(1),
        h("label", { className: "check" },
          h("input", { type: "checkbox", checked: state.all, onchange: (event) => { state.all = event.target.checked; draw(); } }),
          t("Show all {count}", { count: meters.length })),
        ...shown.slice(0, 300).map(meterRow),
        shown.length > 300 && h("p", { className: "soft" }, n("And {count} more after these.", "And {count} more after these.", shown.length - 300)),
        h("p", { className: "soft" }, t("For another device:"), " ", fileLink(route, "csv"), " · ", fileLink(route, "xlsx"),
          " ", t("(filled in, the office imports it as readings)")))),
  ];
}

const fileLink = (route, kind) =>
  h("a", { href: `/round/file/${kind}?${new URLSearchParams({ route })}` }, kind === "csv" ? t("CSV") : t("Excel"));

function meterRow(meter) {
  const at = stateOf(meter);
  return h("button", { className: `row ${meter.serial === state.here ? "here" : ""}`, onclick: () => { state.here = meter.serial; state.form = null; draw(); scrollTo(0, 0); } },
    h("span", {}, h("strong", {}, meter.serial), h("br"), h("span", { className: "soft" }, meter.address || meter.code)),
    h("span", { className: `tag ${at.tone}` }, t(at.text)));
}

// The newest stands above the next meter, the others below it, so that the next one is always near.
export function results(from = 0, to = undefined) {
  const all = mine().filter((entry) => entry.state === "done").reverse();
  const done = all.slice(from, to);
  if (!done.length) return [];
  return [h("h2", {}, from ? t("Earlier results") : t("Result")),
    ...done.map((entry) => h("div", { className: `result ${entry.outcome.tone}` },
      h("p", {}, h("strong", {}, `${entry.serial}, ${shownOf(entry)}`), h("br"), `${t(entry.outcome.title)}. ${entry.outcome.text}`),
      h("button", { onclick: () => seen([entry]), "aria-label": t("Seen: {meter}", { meter: entry.serial }) }, t("Seen")))),
    done.length > 1 && h("div", { className: "buttons" }, h("button", { onclick: () => seen(all) }, t("All seen")))];
}
