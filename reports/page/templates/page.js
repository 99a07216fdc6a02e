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
