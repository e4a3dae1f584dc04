"use strict";
(() => {
  const age = at => (Date.now() / 1000 - at) / 86400;
  const words = days => { const n = Math.max(0, Math.floor(days)); return n === 0 ? "today" : `${n} day${n > 1 ? "s" : ""} ago`; };
  const limit = Number(document.body.dataset.maxAgeDays);
  const envs = [...document.querySelectorAll("#ages tr[data-newest]")];

  // Ages go on while the file does not.
  for (const cell of document.querySelectorAll("[data-at]")) cell.textContent = (cell.dataset.before || "") + words(age(Number(cell.dataset.at)));
  const standing = document.getElementById("standing");
  const before = document.querySelectorAll("#ages tr.stale").length;
  const names = [];
  for (const row of envs) {
    const old = row.dataset.newest === "" || age(Number(row.dataset.newest)) > limit;
    if (old) names.push(row.querySelector("th").textContent.trim());
    row.className = old ? "stale" : "fine";
    row.querySelector(".state").textContent = old ? "too long ago" : "recent enough";
  }
  if (names.length > before) {
    const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
    standing.className = "standing stale";
    standing.textContent = `${names.length} of ${envs.length} env files without a successful drill in the last ${limit} days: ${names.slice(0, 5).join(", ")}${more}`;
  }

  const form = document.getElementById("filter");
  const rows = document.querySelectorAll("#drills tr");
  const show = () => {
    const wanted = [...form.querySelectorAll("select")].map(select => select.value).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const yes = wanted.every(name => row.classList.contains(name));
      row.hidden = !yes;
      shown += yes;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} shown`;
  };
  form.addEventListener("change", show);
  form.hidden = false;
  show();
})();
