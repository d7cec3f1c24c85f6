"use strict";

// The data is in the page as JSON, gzip, base64; an element's is unpacked when it is first asked for.

const unpacked = new Map();

function data(id) {
  if (!unpacked.has(id)) unpacked.set(id, unpack(id));
  return unpacked.get(id);
}

async function unpack(id) {
  const element = document.getElementById(id) ?? (await whenParsed(id));
  const bytes = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// The traces stand at the end of the page and may not have been read yet.
function whenParsed(id) {
  return new Promise((resolve) => {
    const look = () => resolve(document.getElementById(id));
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", look, { once: true });
    else look();
  });
}

async function traceOf(overview, index) {
  const lot = await data(`traces-${Math.floor(index / overview.lot)}`);
  return lot[index % overview.lot];
}
