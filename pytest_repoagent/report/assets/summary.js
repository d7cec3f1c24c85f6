"use strict";

const RATES = [
  ["strict_valid", "strictly valid"],
  ["lenient_valid", "valid if repaired"],
  ["reached_write", "reached write_file"],
  ["loop_rate", "looped"],
  ["pass_rate", "pass"],
];

function showSummary(overview) {
  const facts = overview.runs.map((run) => {
    const suite = [run.suite, run.split].filter(Boolean).join(", ");
    return say("span", `run ${run.run_id}: ${suite}, begun ${run.started_at} UTC`, { class: "run" });
  });
  document.getElementById("facts").replaceChildren(...facts);
  const head = ["model", "rollouts", "tasks", ...RATES.map(([, label]) => label), "steps", "tokens", "cost"];
  const table = document.getElementById("summary");
  table.append(
    make("thead", {}, make("tr", {}, ...head.map((label) => make("th", { scope: "col" }, label)))),
    make("tbody", {}, ...overview.arms.map(summaryRow)),
  );
}

function summaryRow(arm) {
  const spoiled = arm.rollouts - arm.counted;
  const tokens = arm.prompt_tokens === null ? null : arm.prompt_tokens + arm.completion_tokens;
  return make(
    "tr",
    {},
    say("th", arm.arm, { scope: "row" }),
    make("td", {}, number(arm.rollouts) + (spoiled ? ` (${spoiled} not counted)` : "")),
    make("td", {}, number(arm.tasks)),
    ...RATES.map(([rate]) => rateCell(arm.rates[rate])),
    make("td", {}, number(arm.mean_steps, 1)),
    make("td", {}, number(tokens)),
    make("td", {}, arm.cost_usd === null ? "-" : `$${arm.cost_usd.toFixed(4)}`),
  );
}

function rateCell(rate) {
  if (rate === null) return make("td", {}, "-");
  const range = rate.low === null ? "no interval" : `${percent(rate.low)} to ${percent(rate.high)}`;
  return make("td", {}, percent(rate.mean), make("small", {}, range));
}
