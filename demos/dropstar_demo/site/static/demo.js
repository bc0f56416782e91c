// What attributes can't say: colours by meaning, and the wall and alerts read again as soon as their queue changes.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const LEVELS = [[/\b(error|fail(ed|ure)?|crit(ical)?|fatal|panic)\b/i, "bad"], [/\bwarn(ing)?\b/i, "near"]];

  const colourLog = () => {
    for (const line of document.querySelectorAll("#log_lines li")) {
      const found = LEVELS.find(([pattern]) => pattern.test(line.textContent));
      line.className = found ? found[1] : "";
    }
  };
  document.addEventListener("dropstar:filled", colourLog);

  for (const [id, queue, name] of [["wall", "wall", "wall_read"], ["alerts", "sla_alerts", "alerts"]]) {
    if (document.getElementById(id)) dropstar.on("queue", queue, () => rpc(name));
  }
  const verdict = document.querySelector(".verdict");
  if (verdict) {
    dropstar.on("state", "sla/status", ({ value }) => {
      verdict.dataset.level = { ok: "good", "near tolerance": "near" }[value && value.verdict] || "bad";
    });
  }
  const delay = document.getElementById("delay");
  if (delay) {
    const shown = document.getElementById("delay_shown");
    delay.addEventListener("input", () => (shown.textContent = `${Number(delay.value).toFixed(2)} s`));
    dropstar.on("state", "poller/delay", ({ value }) => {
      if (document.activeElement !== delay && value !== undefined) {
        delay.value = value;
        shown.textContent = `${Number(value).toFixed(2)} s`;
      }
    });
  }
});
