// What was typed or photographed, before it is kept.

import { t } from "./words.js";

export function plainNumber(typed) {
  let text = typed.trim().replace(/\p{Nd}/gu, (digit) => {
    let zero = digit.codePointAt(0);
    while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1)) && digit.codePointAt(0) - zero < 9) zero -= 1;
    return String(digit.codePointAt(0) - zero);
  }).replace(/\s/g, "");
  if (/^\d{1,3}(,\d{2,3})+$/.test(text)) {
    return { problem: t("Type the number without commas between its digits, such as 1117 or 1117.5.") };
  }
  text = text.replace(",", ".");
  if (!/^\d+(\.\d{1,3})?$/.test(text)) {
    if (!text) return { problem: t("Type what the meter shows.") };
    return { problem: t("“{typed}” is not a number that a meter shows. Type it such as 1117 or 1117.5.", { typed: typed.trim() }) };
  }
  return { text };
}

export function isUnexpected(meter, text) {
  if (!meter.expected) return false;
  const value = Number(text), low = Number(meter.expected.low), high = Number(meter.expected.high);
  return low <= high ? value < low || value > high : value < low && value > high;
}

// A photo is made small here: a phone's connection is slow, and nobody needs more to read a dial.
export async function smallPhoto(file) {
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
