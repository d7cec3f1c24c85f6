"use strict";

// What a model, a tool or a test wrote reaches the page through these functions alone, as text nodes.

// Characters one cannot see, or that would reorder the text around them: controls, zero-width and bidirectional ones.
const HIDDEN =
  /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}])/u;

// An element with attributes and children; a child is a node or text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// An element that shows text as it is; what is hidden in it is spelled out as U+202E.
function say(tag, text, attributes = {}) {
  const element = make(tag, { dir: "ltr", ...attributes });
  String(text ?? "").split(HIDDEN).forEach((part, index) => {
    if (index % 2) {
      const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      element.append(make("span", { class: "hidden-character" }, `U+${code}`));
    } else if (part) {
      element.append(document.createTextNode(part));
    }
  });
  return element;
}

function percent(share) {
  return share === null ? "-" : `${(100 * share).toFixed(1)} %`;
}

function number(value, digits = 0) {
  return value === null ? "-" : value.toLocaleString("en", { maximumFractionDigits: digits });
}
