"use strict";

// The charts as Vega-Lite specifications. Vega is the last script of the page, so drawing waits for it.

function showCharts(overview) {
  const place = document.getElementById("charts");
  const draw = () => {
    const options = {
      ast: true, // expressions are interpreted: the page's policy forbids eval
      actions: false,
      renderer: "svg",
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
      config: chartTheme(),
    };
    place.replaceChildren();
    for (const [title, spec] of charts(overview)) {
      const canvas = make("div", { class: "chart" });
      place.append(make("figure", {}, make("figcaption", {}, title), canvas));
      if (spec.data.values.length) vegaEmbed(canvas, { width: "container", ...spec }, options);
      else canvas.replaceWith(make("p", { class: "note" }, "none"));
    }
  };
  const whenIdle = window.requestIdleCallback ?? ((callback) => setTimeout(callback, 50));
  const start = () => whenIdle(draw);
  if (window.vegaEmbed) start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

function chartTheme() {
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const quiet = { labelColor: color("--quiet"), titleColor: color("--quiet"), gridColor: color("--line") };
  return {
    background: null,
    font: "system-ui, sans-serif",
    axis: { ...quiet, domainColor: color("--line"), tickColor: color("--line"), labelLimit: 220 },
    legend: { ...quiet, orient: "bottom", columns: 2 },
    view: { stroke: null },
    text: { fill: color("--ink") },
    range: { category: ["#4c8fd6", "#e08a2e", "#3aa57a", "#c2587a", "#8a74c9", "#9c8a3c", "#50a5b8", "#b05c3f"] },
  };
}

function charts(overview) {
  return [
    ["Validity and passing, with 95 % intervals", validity(overview)],
    [`Parse errors, as shares of all replies${codes(overview).length < CODES_SHOWN ? "" : " (the most frequent)"}`, errorMix(overview)],
    ["Steps of a rollout", lengths(overview)],
    overview.arms.some((arm) => arm.cost_usd !== null)
      ? ["Cost of a rollout, US dollars", cost(overview)]
      : ["Tokens of a rollout (no price is known)", tokens(overview)],
    ["Passes by task: rollouts that passed, of those whose tests ran", heatMap(overview)],
  ];
}

const CODES_SHOWN = 12;

// The most frequent error codes, over all arms.
function codes(overview) {
  const totals = new Map();
  for (const { code, errors } of overview.errors) totals.set(code, (totals.get(code) ?? 0) + errors);
  return [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a)).slice(0, CODES_SHOWN);
}

const ARM = { field: "arm", type: "nominal", title: null };

function validity(overview) {
  const names = { strict_valid: "strictly valid", lenient_valid: "valid if repaired", pass_rate: "pass" };
  const values = overview.arms.flatMap((arm) =>
    Object.entries(names).flatMap(([rate, measure]) => (arm.rates[rate] ? [{ arm: arm.arm, measure, ...arm.rates[rate] }] : [])),
  );
  const y = { ...ARM, axis: { grid: true } };
  const place = { y, yOffset: { field: "measure" }, color: { field: "measure", title: null } };
  const scale = { domain: [0, 1] };
  return {
    data: { values },
    height: { step: 18 },
    encoding: place,
    layer: [
      {
        mark: { type: "rule", strokeWidth: 2 },
        encoding: { x: { field: "low", type: "quantitative", scale, title: null, axis: { format: "%" } }, x2: { field: "high" } },
      },
      {
        mark: { type: "point", filled: true, size: 70 },
        encoding: {
          x: { field: "mean", type: "quantitative", scale },
          tooltip: [ARM, { field: "measure" }, ...["mean", "low", "high"].map((field) => ({ field, format: ".1%" }))],
        },
      },
    ],
  };
}

function errorMix(overview) {
  const shown = codes(overview);
  return {
    data: { values: overview.errors.filter((row) => shown.includes(row.code)) },
    height: { step: 11, for: "offset" },
    mark: "bar",
    encoding: {
      y: { field: "code", type: "nominal", title: null, sort: shown },
      yOffset: { field: "arm" },
      x: { field: "share", type: "quantitative", title: null, axis: { format: "%" } },
      color: { field: "arm", title: null },
      tooltip: [ARM, { field: "code" }, { field: "errors" }, { field: "share", format: ".1%" }],
    },
  };
}

function lengths(overview) {
  const longest = Math.max(0, ...overview.lengths.map((row) => row.steps));
  const scale = { domain: Array.from({ length: longest }, (_, index) => index + 1) };
  return {
    data: { values: overview.lengths },
    height: 220,
    mark: "bar",
    encoding: {
      x: { field: "steps", type: "ordinal", title: "steps", scale, axis: { labelAngle: 0, labelOverlap: true, labelSeparation: 6 } },
      xOffset: { field: "arm" },
      y: { field: "rollouts", type: "quantitative", title: "rollouts", axis: { tickMinStep: 1 } },
      color: { field: "arm", title: null },
      tooltip: [ARM, { field: "steps" }, { field: "rollouts" }],
    },
  };
}

function cost(overview) {
  const priced = overview.arms.filter((arm) => arm.cost_usd !== null);
  return bars(priced.map((arm) => ({ arm: arm.arm, value: arm.cost_usd / arm.rollouts })), "$.4f");
}

function tokens(overview) {
  const known = overview.arms.filter((arm) => arm.prompt_tokens !== null);
  const value = (arm) => (arm.prompt_tokens + arm.completion_tokens) / arm.rollouts;
  return bars(known.map((arm) => ({ arm: arm.arm, value: value(arm) })), ",.0f");
}

function bars(values, format) {
  return {
    data: { values },
    height: { step: 28 },
    mark: "bar",
    encoding: {
      y: ARM,
      x: { field: "value", type: "quantitative", title: null, axis: { format, tickCount: 4 } },
      tooltip: [ARM, { field: "value", format }],
    },
  };
}

function heatMap(overview) {
  return {
    data: { values: overview.tasks.map((row) => ({ ...row, shown: `${row.passes}/${row.judged}` })) },
    height: { step: 20 },
    encoding: {
      y: { field: "task_id", type: "nominal", title: null },
      x: { ...ARM, axis: { orient: "top", labelAngle: 0, domain: false, ticks: false } },
      tooltip: [{ field: "task_id", title: "task" }, ARM, { field: "passes" }, { field: "judged" }],
    },
    layer: [
      {
        mark: { type: "rect", stroke: "#8884" },
        encoding: {
          color: {
            field: "pass_rate",
            type: "quantitative",
            title: "pass rate",
            scale: { domain: [0, 1], range: ["#d98a3a", "#f0e6d2", "#3f86c6"] },
            legend: { format: "%" },
          },
        },
      },
      { mark: { type: "text", fontSize: 11, fill: "#111" }, encoding: { text: { field: "shown" } } },
    ],
  };
}
