// A meter's card: what to know of it, its reading, or why it could not be read.
import { checkRead, formOf, queueMissed, queueRead } from "./actions.js";
import { h } from "./elements.js";
import { drawing, nextDue, state, stateOf } from "./state.js";
import { smallPhoto } from "./typed.js";
import { number, t } from "./words.js";

// A route that an earlier version kept on this phone lacks the words until it is fetched again.
const expectedOf = (meter) => meter.expected_text || t("not known yet");

export function meterCard(meter) {
  const form = formOf(meter), at = stateOf(meter);
  const facts = [[t("Customer"), meter.customer || t("Vacant")], [t("Place"), meter.code],
    [t("Last read"), meter.last ? t("{kwh} kWh on {day}", { kwh: number(meter.last.kwh), day: meter.last.on }) : t("none")],
    [t("Expected"), expectedOf(meter)]];
  return h("div", { className: "card" },
    h("h1", {}, meter.serial), h("div", {}, meter.address),
    meter.access_note && h("div", { className: "note" }, meter.access_note),
    meter.asked && h("div", { className: "note" }, t("The office asks for a new reading: {reason}", { reason: meter.asked })),
    meter.waiting && h("div", { className: "note" }, t("A reading of this meter waits for the office under Exceptions.")),
    meter.missed && h("div", { className: "note" }, t("Not read today: {reason}", { reason: meter.missed.reason }), meter.missed.note && `. ${meter.missed.note}`),
    h("dl", {}, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    !at.open && h("p", {}, h("span", { className: `tag ${at.tone}` }, t(at.text)), meter.read_on && ` ${t("on {day}", { day: meter.read_on })}`),
    form.missed ? missedForm(meter, form) : readForm(meter, form));
}

function readForm(meter, form) {
  if (form.doubt) return doubtView(meter, form);
  const submit = async (event) => {
    event.preventDefault();
    await checkRead(meter, form);
  };
  return h("form", { onsubmit: submit, noValidate: true },
    h("label", { htmlFor: "value" }, t("Reading (kWh)")),
    h("input", { id: "value", className: "value", inputMode: "decimal", autocomplete: "off", enterKeyHint: "done", value: form.value, maxLength: 24, oninput: (event) => { form.value = event.target.value; } }),
    meter.registers.map((register) => [
      h("label", { htmlFor: `register-${register.name}` }, `${register.label} (${register.unit})`),
      h("input", { id: `register-${register.name}`, inputMode: "decimal", autocomplete: "off", value: form.registers[register.name] || "", maxLength: 24, oninput: (event) => { form.registers[register.name] = event.target.value; } }),
      register.last && h("span", { className: "soft" }, t("Last {value}", { value: number(register.last) }))]),
    photoField(form, t("Photo of the dial"), t("Photo of the dial (optional)")),
    form.problem && h("p", { className: "problem", role: "alert" }, form.problem),
    h("div", { className: "buttons" }, h("button", { className: "main", type: "submit" }, t("Send reading"))),
    h("div", { className: "buttons" },
      h("button", { type: "button", onclick: () => { form.missed = true; form.problem = ""; drawing.draw(); } }, t("Could not read")),
      h("button", { type: "button", onclick: () => { state.here = nextDue(meter.serial)?.serial || meter.serial; state.form = null; drawing.draw(); } }, t("Next meter"))));
}

function doubtView(meter, form) {
  return h("div", {},
    h("h2", {}, t("Really {kwh} kWh?", { kwh: number(form.doubt) })),
    h("p", {}, t("Expected is {expected}. If the meter shows it, send it: the office looks at it first.", { expected: expectedOf(meter) })),
    h("div", { className: "buttons" },
      h("button", { className: "main", onclick: () => { form.doubt = ""; drawing.draw(); document.getElementById("value").focus(); } }, t("Correct it")),
      h("button", { onclick: () => queueRead(meter, form.checked.value, form.checked.registers) }, t("The meter shows it"))));
}

function missedForm(meter, form) {
  const submit = async (event) => {
    event.preventDefault();
    if (!form.reason) form.problem = t("Choose why the meter could not be read.");
    else if (form.reason === "other" && !form.note.trim()) form.problem = t("Write why the meter could not be read.");
    else return queueMissed(meter, form.reason, form.note.trim());
    drawing.draw();
  };
  return h("form", { onsubmit: submit, noValidate: true },
    h("label", { htmlFor: "reason" }, t("Why it could not be read")),
    h("select", { id: "reason", onchange: (event) => { form.reason = event.target.value; } },
      h("option", { value: "" }, t("Choose …")),
      state.start.reasons.map((one) => h("option", { value: one.code, selected: one.code === form.reason }, one.label[0].toUpperCase() + one.label.slice(1)))),
    h("label", { htmlFor: "note" }, t("Note")),
    h("textarea", { id: "note", maxLength: 500, value: form.note, oninput: (event) => { form.note = event.target.value; } }),
    photoField(form, t("Photo"), t("Photo (optional)")),
    form.problem && h("p", { className: "problem", role: "alert" }, form.problem),
    h("div", { className: "buttons" }, h("button", { className: "main", type: "submit" }, t("Could not read it"))),
    h("div", { className: "buttons" }, h("button", { type: "button", onclick: () => { form.missed = false; form.problem = ""; drawing.draw(); } }, t("Back to the reading"))));
}

function photoField(form, label, optional) {
  const choose = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      form.photo = await smallPhoto(file);
      form.problem = "";
    } catch {
      form.photo = null;
      form.problem = t("This file is not a photo that can be used. Take another one.");
    }
    drawing.draw();
  };
  if (form.photo) {
    const address = URL.createObjectURL(form.photo);
    return [h("label", {}, label), h("img", { className: "photo", src: address, alt: label, onload: () => URL.revokeObjectURL(address) }),
      h("div", { className: "buttons" }, h("button", { type: "button", onclick: () => { form.photo = null; drawing.draw(); } }, t("Remove the photo")))];
  }
  return [h("label", { htmlFor: "photo" }, optional),
    h("input", { id: "photo", type: "file", accept: "image/*", capture: "environment", onchange: choose })];
}
