"use strict";

// The address says what is shown: #rollout=..&step=.. and the filters, so every view is a link.

function address() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

// The address with some changes; null removes.
function place(changes) {
  const fields = { ...address(), ...changes };
  const kept = Object.entries(fields).filter(([, value]) => value !== null && value !== "");
  return `#${new URLSearchParams(kept.map(([name, value]) => [name, String(value)]))}`;
}

async function start() {
  const overview = await data("overview");
  showSummary(overview);
  showCharts(overview);
  let shownList = null;
  let shownRollout = null;

  const show = async () => {
    const now = address();
    const key = JSON.stringify(FILTERS.map(([name]) => now[name] ?? ""));
    if (key !== shownList) {
      shownList = key;
      showFilters(overview, now, (name, value) => (location.hash = place({ [name]: value })));
      showList(filtered(overview, now));
    }
    if (!now.rollout) return;
    if (now.rollout !== shownRollout) {
      shownRollout = now.rollout;
      await showRollout(overview, now.rollout);
    }
    if (now.step !== undefined) goToStep(now.step);
  };
  addEventListener("hashchange", show);
  document.addEventListener("click", toList);
  document.addEventListener("keydown", (event) => onKey(overview, event));
  await show();
}

// A link to the list goes there and leaves the address, which holds the filters, as it is.
function toList(event) {
  if (!event.target.closest('a[href="#list"]')) return;
  event.preventDefault();
  const list = document.getElementById("list");
  list.scrollIntoView();
  list.focus({ preventScroll: true });
}

async function showRollout(overview, id) {
  const index = overview.rollouts.findIndex((rollout) => rollout.id === id);
  const target = document.getElementById("trace");
  if (index < 0) {
    target.replaceChildren(say("p", `There is no rollout ${id} in this report.`, { class: "error" }));
    return;
  }
  const trace = await traceOf(overview, index);
  if (address().rollout !== id) return; // another one was chosen meanwhile
  target.replaceChildren(traceView(overview.rollouts[index], trace));
  markSelected(id);
  if (address().step === undefined) target.scrollIntoView({ block: "start" });
}

function goToStep(step) {
  const element = [...document.querySelectorAll(".step")].find((candidate) => candidate.dataset.step === step);
  if (!element) return;
  element.scrollIntoView({ block: "start" });
  element.focus({ preventScroll: true });
}

function onKey(overview, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
  const now = address();
  const rollout = overview.rollouts.find((candidate) => candidate.id === now.rollout);
  const keys = {
    n: () => moveRollout(overview, now, 1),
    p: () => moveRollout(overview, now, -1),
    j: () => rollout && moveStep(rollout, now, 1),
    k: () => rollout && moveStep(rollout, now, -1),
    b: () => rollout && rollout.first_bad !== null && (location.hash = place({ step: rollout.first_bad })),
  };
  keys[event.key]?.();
}

function moveRollout(overview, now, by) {
  const found = filtered(overview, now);
  const at = found.findIndex(({ rollout }) => rollout.id === now.rollout);
  const next = found[at < 0 ? 0 : at + by];
  if (next) location.hash = place({ rollout: next.rollout.id, step: null });
}

function moveStep(rollout, now, by) {
  const next = now.step === undefined ? 0 : Number(now.step) + by;
  if (next >= 0 && next < rollout.steps) location.hash = place({ step: next });
}

start();
