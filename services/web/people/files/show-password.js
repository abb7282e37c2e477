// A box that shows what is typed: nobody gets a long password right blindly on a phone.
const fields = document.querySelectorAll("input[type=password]");
if (fields.length) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  const label = Object.assign(document.createElement("label"), { className: "check" });
  label.append(box, document.body.dataset.showTyped);
  box.addEventListener("change", () => fields.forEach((field) => { field.type = box.checked ? "text" : "password"; }));
  fields[fields.length - 1].after(label);
  // Sent hidden, so that the browser offers to keep it.
  fields[0].form.addEventListener("submit", () => fields.forEach((field) => { field.type = "password"; }));
}
