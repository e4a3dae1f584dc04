"use strict";
// Without this script the report is complete; with it, its table can be filtered and sorted.
(() => {
  const table = document.querySelector("table.rows");
  const body = table.tBodies[0];
  const runbook = [...body.rows];
  const rows = runbook.filter((row) => row.classList.contains("row"));
  const tools = document.getElementById("row-tools");
  const status = document.getElementById("row-status");
  const heads = [...table.querySelectorAll("th[data-sort]")];
  let show = "";
  let sorted = "";
  let falling = false;

  function compare(one, other) {
    const [a, b] = [one.dataset[sorted], other.dataset[sorted]];
    if (a === "" || b === "") return (a === "") - (b === "");  // what was not measured comes last, either way
    const by = sorted === "title" ? a.localeCompare(b) : Number(a) - Number(b);
    return falling ? -by : by;
  }

  function update() {
    body.append(...(sorted ? [...rows].sort(compare) : runbook));
    for (const row of runbook) {
      const group = !row.classList.contains("row");
      row.classList.toggle("filtered", group ? Boolean(show || sorted) : Boolean(show) && row.dataset.show !== show);
    }
    for (const head of heads) {
      const mine = head.dataset.sort === sorted;
      head.setAttribute("aria-sort", mine ? (falling ? "descending" : "ascending") : "none");
    }
    const seen = rows.filter((row) => !row.classList.contains("filtered")).length;
    const order = sorted ? `sorted by ${heads.find((head) => head.dataset.sort === sorted).textContent.trim()}` : "in runbook order";
    status.textContent = `${seen} of ${rows.length} rows, ${order}`;
  }

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      if (sorted !== head.dataset.sort) [sorted, falling] = [head.dataset.sort, head.dataset.sort !== "title"];
      else if (falling === (head.dataset.sort !== "title")) falling = !falling;
      else sorted = "";
      update();
    });
  }
  tools.addEventListener("change", (event) => {
    show = event.target.value;
    update();
  });

  // A link to a row shows it, whatever is filtered.
  addEventListener("hashchange", () => {
    const row = rows.find((one) => "#" + one.id === location.hash);
    if (!row || !row.classList.contains("filtered")) return;
    show = "";
    tools.querySelector("input").checked = true;
    update();
    row.scrollIntoView();
  });

  // Paper has no triangles to open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  tools.hidden = false;
  update();
})();
