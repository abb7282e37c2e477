// What the page says, in the language of who is signed in; before that, in the browser's.

// The server writes the browser's language into the page.
let language = JSON.parse(document.getElementById("words").textContent);

export const tag = () => language.tag;

// Takes up another language: the page's head is said in it at once, the rest when it is drawn again.
export function speak(other) {
  if (!other?.texts) return;
  language = other;
  const html = document.documentElement;
  html.lang = language.tag;
  html.dir = language.direction;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = t(one.dataset.text);
}

// A text with its places filled in; the English one where this language lacks it.
export const t = (text, values = {}) => filled(language.texts[text] || text, values);

// A text about a number of things, which stands in the place {count}.
export function n(one, many, count, values = {}) {
  const forms = language.counted[one] || { one, other: many };
  const form = forms[new Intl.PluralRules(language.tag).select(count)] || forms.other;
  return filled(form, { count: number(String(count)), ...values });
}

// In a text that runs from right to left, a value is kept apart from what stands around it.
function filled(text, values) {
  const [start, end] = language.direction === "rtl" ? ["\u2068", "\u2069"] : ["", ""];
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? `${start}${values[name]}${end}` : place));
}

// A decimal text with all its decimals as the language groups it, in digits 0 to 9.
export function number(decimalText) {
  const places = (decimalText.split(".")[1] || "").length;
  return new Intl.NumberFormat(`${language.tag}-u-nu-latn`, { minimumFractionDigits: places, maximumFractionDigits: places }).format(decimalText);
}

export function money(amount, currency) {
  try {
    return new Intl.NumberFormat(`${language.tag}-u-nu-latn`, { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}

