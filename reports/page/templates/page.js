// Tables sort by their headings, within each group; an empty value goes last either way.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
        const numbers = rows.every((row) => !isNaN(Number(row.cells[column].dataset.sort ?? "")));
        rows.sort((one, two) => {
          const [a, b] = [one, two].map((row) => row.cells[column].dataset.sort ?? "");
          if (a === "" || b === "") return (a === "") - (b === "");
          const order = numbers ? a - b : a.localeCompare(b);
          return down ? -order : order;
        });
        body.append(...rows);
      }
      document.getElementById("told").textContent =
        `sorted by ${button.textContent}, ${down ? "descending" : "ascending"}`;
    });
  });
}

// What is shown: one split, one table, one kind of curves, all seeds or one. Without this script all of it is there, one below the other.
const chosen = {};
function show() {
  for (const part of document.querySelectorAll("[data-split], [data-table], [data-curve], [data-seed]")) {
    const { split, table, curve, seed } = part.dataset;
    const fits = (value, name) => value === undefined || chosen[name] === undefined || value === chosen[name];
    const among = (several) => several === undefined || !chosen.seed || several.split(" ").includes(chosen.seed);
    part.hidden = !(fits(split, "split") && fits(table, "table") && fits(curve, "curve") && among(seed));
  }
}
for (const select of document.querySelectorAll("[data-switch]")) {
  chosen[select.dataset.switch] = select.value;
  select.addEventListener("change", () => {
    chosen[select.dataset.switch] = select.value;
    show();
  });
  select.form.hidden = false;
}
show();

// Curves: the values at a task, by pointer or arrow keys; a method's button hides it in all of them.
const off = new Set();
for (const drawing of document.querySelectorAll("[data-curve-data]")) {
  const { across, at, lines } = JSON.parse(drawing.dataset.curveData);
  const box = drawing.parentElement.querySelector(".values");
  const cross = drawing.querySelector(".cross");
  const tasks = Object.keys(at).map(Number);
  const ask = (task) => {
    const found = lines.filter((line) => line.points[task] && !off.has(line.label));
    found.sort((a, b) => b.points[task][0] - a.points[task][0]);
    const said = found.map(({ name, points }) => {
      const [mean, spread, seeds] = points[task];
      return `${name} ${mean.toFixed(1)}${seeds > 1 ? ` ± ${spread.toFixed(1)}` : ""} (${seeds})`;
    });
    box.replaceChildren(Object.assign(document.createElement("b"), { textContent: `${across} ${task}` }));
    found.forEach(({ colour }, place) => {
      const row = document.createElement("div");
      const dot = document.createElement("i");
      dot.style.background = colour;
      row.append(dot, said[place]);
      box.append(row);
    });
    const right = at[task] < 320;
    box.style.left = right ? "auto" : "3.2rem";
    box.style.right = right ? ".5rem" : "auto";
    box.hidden = false;
    cross.setAttribute("d", `M${at[task]},12V356`);
    drawing.setAttribute("aria-valuenow", task);
    drawing.setAttribute("aria-valuetext", `${across} ${task}: ${said.join(", ")}`);
  };
  const leave = () => {
    box.hidden = true;
    cross.setAttribute("d", "");
  };
  const point = (event) => {
    const bounds = drawing.getBoundingClientRect();
    const x = ((event.clientX - bounds.left) / bounds.width) * 640;
    ask(tasks.reduce((best, task) => (Math.abs(at[task] - x) < Math.abs(at[best] - x) ? task : best)));
  };
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerdown", point);
  drawing.addEventListener("pointerleave", leave);
  drawing.addEventListener("blur", leave);
  drawing.addEventListener("focus", () => ask(Number(drawing.getAttribute("aria-valuenow"))));
  drawing.addEventListener("keydown", (event) => {
    const now = Number(drawing.getAttribute("aria-valuenow"));
    const last = tasks[tasks.length - 1];
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 1, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    ask(Math.min(last, Math.max(1, to)));
  });
}
for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const { label } = button.dataset;
    const hide = !off.has(label);
    if (hide) off.add(label);
    else off.delete(label);
    button.setAttribute("aria-pressed", String(!hide));
    for (const drawn of document.querySelectorAll("[data-series]")) {
      if (drawn.dataset.series === label) drawn.style.display = hide ? "none" : "";
    }
  });
}
