"use strict";

// One rollout: what it was, its steps, its tests and its diff.

function traceView(rollout, trace) {
  const bad = rollout.first_bad;
  const jump = bad === null ? make("span", { class: "note" }, "no bad step") : stepLink(rollout, bad, "first bad step", "jump");
  return make(
    "article",
    {},
    make("a", { class: "back", href: "#list" }, "Back to the list"),
    say("h3", `${rollout.task}, ${rollout.arm}, rollout ${rollout.rollout}`),
    make("p", { class: "verdicts" }, outcomeBadge(rollout), passBadge(rollout.success), jump),
    say("p", rolloutFacts(rollout), { class: "note" }),
    trace.ending.error ? labelled("Why it stopped", "pre", trace.ending.error) : null,
    ...trace.steps.map((step) => stepView(rollout, step, trace.tests.filter((test) => test.step === step.step))),
    ...trace.tests.filter((test) => test.step === null).map((test) => testView("Tests at the end", test)),
    trace.ending.final_summary ? labelled("What the model said it did", "pre", trace.ending.final_summary) : null,
    make("h4", {}, "Diff"),
    trace.ending.diff ? diffView(trace.ending.diff) : make("p", { class: "note" }, "nothing was changed"),
  );
}

function rolloutFacts(rollout) {
  const tokens = rollout.prompt_tokens === null ? "" : `, ${number(rollout.prompt_tokens)} + ${number(rollout.completion_tokens)} tokens`;
  const price = rollout.cost_usd === null ? "" : `, $${rollout.cost_usd.toFixed(4)}`;
  return `${rollout.id}: seed ${rollout.seed}, ${rollout.steps} steps, ${number(rollout.duration_s, 1)} s${tokens}${price}`;
}

function stepView(rollout, step, tests) {
  const bad = step.error_code !== null || step.executed_ok === false;
  const title = step.tool ?? (step.action ? "final" : "no action");
  return make(
    "section",
    { class: bad ? "step bad" : "step", "data-step": step.step, tabindex: "-1", "aria-label": `Step ${step.step}` },
    make(
      "h4",
      {},
      stepLink(rollout, step.step, `Step ${step.step}`, "anchor"),
      say("span", title, { class: "tool" }),
      ...[step.error_code, step.tool_code].filter(Boolean).map((code) => say("span", code, { class: "badge no" })),
      ...step.flags.map((flag) => say("span", flag, { class: "badge poor" })),
    ),
    say("p", stepFacts(step), { class: "note" }),
    messagesView(step),
    make(
      "div",
      { class: "sides" },
      labelled("Raw reply", "pre", step.raw),
      make("div", {}, make("h5", {}, "Parsed"), parsedView(step)),
    ),
    step.result === null ? null : labelled(step.executed_ok ? "Tool result" : "Tool refused", "pre", step.result),
    ...tests.map((test) => testView("Tests", test)),
  );
}

function stepFacts(step) {
  const tokens = step.prompt_tokens === null ? [] : [`${number(step.prompt_tokens)} + ${number(step.completion_tokens)} tokens`];
  const finish = step.finish_reason === null ? [] : [`finish ${step.finish_reason}`];
  const seconds = step.latency_s === null ? [] : [`model ${number(step.latency_s, 2)} s`];
  return [...seconds, ...tokens, ...finish, `window ${step.window_policy}`].join(", ");
}

function messagesView(step) {
  const messages = step.new_messages ?? [];
  if (!messages.length) return null;
  return make(
    "details",
    {},
    make("summary", {}, `What the model was told (${messages.length === 1 ? "1 message" : `${messages.length} messages`})`),
    ...messages.map((message) => labelled(message.role, "pre", message.content)),
  );
}

function parsedView(step) {
  const parts = [];
  if (step.error_code !== null) {
    const repaired = step.lenient_valid ? " A lenient reader would have understood it." : "";
    parts.push(say("p", `${step.error_code}: ${step.error_message}${repaired}`, { class: "error" }));
  }
  if (step.action !== null) parts.push(actionView(step.action));
  return make("div", {}, ...parts);
}

// An action by its fields, long texts with their line breaks.
function actionView(action) {
  const fields = action.type === "tool_call" ? Object.entries(action.args) : Object.entries(action).filter(([name]) => name !== "type");
  const rows = fields.flatMap(([name, value]) => [
    say("dt", name),
    make("dd", {}, say("pre", typeof value === "string" ? value : JSON.stringify(value, null, 1))),
  ]);
  return make("dl", {}, ...rows);
}

function testView(title, test) {
  const counts = Object.entries(test.counts ?? {}).map(([outcome, count]) => `${count} ${outcome}`);
  return make(
    "div",
    { class: "tests" },
    make("h5", {}, title, passBadge(test.passed)),
    say("p", [test.reason, ...counts, `${number(test.duration_s, 2)} s`].join(", "), { class: "note" }),
    test.text ? say("pre", test.text) : null,
  );
}

function diffView(diff) {
  const kinds = { "+": "added", "-": "removed", "@": "hunk" };
  const lines = diff.replace(/\n$/, "").split("\n");
  return make("pre", { class: "diff" }, ...lines.map((line) => say("span", line || " ", { class: kinds[line[0]] ?? "same" })));
}

function labelled(label, tag, text) {
  return make("div", {}, make("h5", {}, label), say(tag, text));
}

function passBadge(passed) {
  if (passed === null) return make("span", { class: "badge" }, "not tested");
  return make("span", { class: passed ? "badge yes" : "badge no" }, passed ? "tests pass" : "tests fail");
}

function outcomeBadge(rollout) {
  return say("span", rollout.outcome, { class: "badge" });
}

function stepLink(rollout, step, text, kind) {
  return make("a", { class: kind, href: place({ rollout: rollout.id, step }) }, text);
}
