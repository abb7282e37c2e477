// A list: a table where there is room, cards where there is not. It shows what it is given and says
// what was clicked; the order, the page and the rows are the server's.

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
};

const cellOf = (row, column) => {
  const { color, flag } = row.cells[column.key];
  // A number before a street stays there on a page that runs from right to left.
  const text = element("bdi", {}, row.cells[column.key].text);
  const classes = [column.place, column.right ? "right" : ""].join(" ").trim();
  if (column.place === "title") {
    return element("td", { class: classes }, element("a", { href: row.href }, text));
  }
  const inside = color ? element("span", { class: "badge", "data-color": color }, text) : text;
  const flagged = flag ? element("span", { class: "badge", "data-color": "orange" }, flag) : null;
  return element("td", { class: classes }, inside, flagged ? " " : null, flagged);
};

const box = (name, checked, label) => {
  const input = element("input", { type: "checkbox", "aria-label": label, "data-focus": name });
  input.checked = checked;
  return input;
};

const orders = (data) =>
  data.columns
    .filter((column) => column.sort)
    .flatMap((column) =>
      [true, false].map((descending) => ({
        value: `${descending ? "-" : ""}${column.sort}`,
        label: `${column.label} ${descending ? "↓" : "↑"}`,
      })),
    );

const select = (name, label, options, chosen) => {
  const made = element("select", { "aria-label": label, "data-focus": name });
  for (const option of options) {
    made.append(element("option", { value: option.value }, option.label));
  }
  made.value = chosen;
  return made;
};

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".list");
  const shown = new Set(data.rows.map((row) => row.id));
  const chosen = new Set((root.chosen ?? []).filter((id) => shown.has(id)));
  const sorted = `${data.descending ? "-" : ""}${data.sort}`;
  const focused = parentElement.activeElement?.dataset.focus;

  const choose = (ids, on) => {
    ids.forEach((id) => (on ? chosen.add(id) : chosen.delete(id)));
    root.chosen = [...chosen];
    setStateValue("selected", root.chosen);
    mark();
  };
  const mark = () => {
    for (const row of root.querySelectorAll("tbody tr")) {
      row.classList.toggle("chosen", chosen.has(row.dataset.id));
      row.querySelector("input").checked = chosen.has(row.dataset.id);
    }
    for (const all of root.querySelectorAll("input.all")) {
      all.checked = chosen.size > 0 && chosen.size === shown.size;
      all.indeterminate = chosen.size > 0 && chosen.size < shown.size;
    }
  };
  const turn = (page) => {
    // The new page is read from its beginning.
    root.turned = true;
    setTriggerValue("page", page);
  };

  const chooseAll = (name) => {
    const input = box(name, false, data.words.chooseAll);
    input.classList.add("all");
    input.onchange = () => choose([...shown], input.checked);
    return input;
  };
  const heading = (column) => {
    const asked = column.sort && column.sort === data.sort;
    const first = `${column.largest_first ? "-" : ""}${column.sort}`;
    const other = first.startsWith("-") ? column.sort : `-${column.sort}`;
    const attributes = { scope: "col", class: column.right ? "right" : "" };
    if (!column.sort) return element("th", attributes, column.label);
    const arrow = element("span", { "aria-hidden": "true" }, asked ? (data.descending ? "↓" : "↑") : "\u00a0");
    const button = element(
      "button",
      { type: "button", "data-focus": `sort-${column.sort}`, title: `${data.words.sortBy} ${column.label.toLowerCase()}` },
      ...(column.right ? [arrow, column.label] : [column.label, arrow]),
    );
    button.onclick = () => setTriggerValue("sort", sorted === first ? other : first);
    const order = asked ? (data.descending ? "descending" : "ascending") : null;
    return element("th", { ...attributes, "aria-sort": order }, button);
  };
  const line = (row) => {
    const input = box(`row-${row.id}`, chosen.has(row.id), `${data.words.choose} ${row.name}`);
    input.onchange = () => choose([row.id], input.checked);
    const made = element(
      "tr",
      { "data-id": row.id },
      element("td", { class: "pick" }, element("label", {}, input)),
      ...data.columns.map((column) => cellOf(row, column)),
      element("td", { class: "summary" }, row.summary),
    );
    made.onclick = (event) => {
      if (event.target.closest(".pick") || getSelection().toString()) return;
      // A new tab or window is the browser's own business.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      setTriggerValue("open", row.id);
    };
    return made;
  };

  const head = element("tr", {}, element("td", { class: "pick" }, element("label", {}, chooseAll("all"))));
  head.append(...data.columns.map(heading));
  const table = element(
    "table",
    { "aria-label": data.name },
    element("thead", {}, head),
    element("tbody", {}, ...data.rows.map(line)),
  );

  const order = select("order", data.words.sortBy, orders(data), sorted);
  order.onchange = () => setTriggerValue("sort", order.value);
  const narrow = element(
    "div",
    { class: "narrow" },
    element("label", {}, chooseAll("all-narrow"), data.words.all),
    element("label", {}, data.words.sort, order),
  );

  const steps = [
    ["first", data.words.first, data.words.rtl ? "»" : "«"],
    ["previous", data.words.previous, data.words.rtl ? "›" : "‹"],
    ["next", data.words.next, data.words.rtl ? "‹" : "›"],
    ["last", data.words.last, data.words.rtl ? "«" : "»"],
  ].map(([name, label, sign]) => {
    const page = data.pages[name];
    const button = element(
      "button",
      { type: "button", "aria-label": label, title: label, "data-focus": name, disabled: page == null },
      sign,
    );
    button.onclick = () => turn(page);
    return button;
  });
  const sizes = data.sizes.map((size) => ({ value: size, label: data.words.aPage.replace("{size}", size) }));
  const size = select("size", data.words.rows, sizes, data.size);
  size.onchange = () => setTriggerValue("size", Number(size.value));
  const foot = element(
    "div",
    { class: "foot" },
    element("span", { class: "position" }, data.position),
    size,
    element("span", { class: "steps" }, ...steps),
  );

  root.replaceChildren(narrow, table, foot);
  root.classList.toggle("empty", data.rows.length === 0);
  mark();
  if (focused) root.querySelector(`[data-focus="${focused}"]`)?.focus({ preventScroll: true });
  if (root.turned) {
    root.turned = false;
    root.scrollIntoView({ block: "nearest" });
  }
}
