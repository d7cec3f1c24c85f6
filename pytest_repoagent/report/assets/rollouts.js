"use strict";

// The list of rollouts and its filters. The list grows as it is scrolled, so that thousands cost nothing at first.

const FILTERS = [
  ["arm", "model", (rollout) => [rollout.arm]],
  ["task", "task", (rollout) => [rollout.task]],
  ["outcome", "outcome", (rollout) => [rollout.outcome]],
  ["tests", "tests", (rollout) => [rollout.success === null ? "not run" : rollout.success ? "pass" : "fail"]],
  ["code", "code", (rollout) => rollout.codes],
];
const SHOWN_AT_ONCE = 100;

function showFilters(overview, chosen, onChange) {
  const form = document.getElementById("filters");
  form.replaceChildren(
    ...FILTERS.map(([name, label, values]) => {
      const found = [...new Set(overview.rollouts.flatMap(values))].sort();
      const options = ["", ...found].map((value) => {
        const option = say("option", value || "all");
        option.value = value;
        return option;
      });
      const select = make("select", { name }, ...options);
      select.value = chosen[name] ?? "";
      select.addEventListener("change", () => onChange(name, select.value));
      return make("label", {}, label, select);
    }),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
}

// The rollouts that pass the filters, each with its place in the whole list.
function filtered(overview, chosen) {
  const wanted = FILTERS.filter(([name]) => chosen[name]);
  return overview.rollouts
    .map((rollout, index) => ({ rollout, index }))
    .filter(({ rollout }) => wanted.every(([name, , values]) => values(rollout).includes(chosen[name])));
}

function showList(found) {
  const list = make("ol");
  const end = make("div", { class: "end" });
  const grow = () => {
    const next = found.slice(list.childElementCount, list.childElementCount + SHOWN_AT_ONCE);
    list.append(...next.map(({ rollout }) => make("li", {}, rowLink(rollout))));
    watcher.disconnect();
    if (list.childElementCount < found.length) watcher.observe(end); // anew: it tells of changes, and may miss that the end left
  };
  const watcher = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && grow());
  document.getElementById("list").replaceChildren(list, end);
  document.getElementById("count").textContent = found.length === 1 ? "1 rollout." : `${number(found.length)} rollouts.`;
  grow();
}

function rowLink(rollout) {
  const errors = rollout.parse_errors ? make("span", { class: "badge no" }, `${rollout.parse_errors} parse errors`) : null;
  return make(
    "a",
    { href: place({ rollout: rollout.id, step: null }), "data-rollout": rollout.id },
    say("strong", rollout.task),
    say("span", `${rollout.arm}, ${rollout.outcome}, ${rollout.steps} steps`),
    make("span", {}, passBadge(rollout.success), errors),
  );
}

function markSelected(id) {
  for (const link of document.querySelectorAll("#list a")) {
    if (link.dataset.rollout === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
