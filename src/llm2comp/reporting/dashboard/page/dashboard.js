"use strict";

/* Plots */

const PLOT_OPTIONS = {
  responsive: true,
  displaylogo: false,
  displayModeBar: "hover",
  modeBarButtons: [["toImage", "resetScale2d"]],
  toImageButtonOptions: { format: "svg", filename: "llm2comp" },
};
const PRINT_WIDTH = { wide: 680, small: 335 };
const isTouch = matchMedia("(pointer: coarse)").matches;

function draw(canvas) {
  const { data, layout } = JSON.parse(canvas.querySelector("script").textContent);
  if (isTouch) {
    // A finger on a plot scrolls the page.
    layout.dragmode = false;
    layout.xaxis.fixedrange = layout.yaxis.fixedrange = true;
  }
  Plotly.newPlot(canvas, data, layout, PLOT_OPTIONS);
}

const canvases = [...document.querySelectorAll(".canvas")];
// Far down the page there may be many: each is drawn as it comes near, and all before printing.
const waiting = new Set(canvases);
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) drawOnce(entry.target);
    }
  },
  { rootMargin: "600px" },
);

function drawOnce(canvas) {
  observer.unobserve(canvas);
  if (waiting.delete(canvas)) draw(canvas);
}

for (const canvas of canvases) observer.observe(canvas);

/* Print: everything drawn, at the width of the paper, and nothing folded away */

let folded = [];

addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
  for (const canvas of canvases) {
    drawOnce(canvas);
    const kind = canvas.parentElement.classList.contains("wide") ? "wide" : "small";
    Plotly.relayout(canvas, { width: PRINT_WIDTH[kind], autosize: false });
  }
});

addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
  for (const canvas of canvases) Plotly.relayout(canvas, { width: null, autosize: true });
});

/* Tables: a click on a heading sorts by it, another turns the order round */

function compare(a, b) {
  const [first, second] = [Number(a), Number(b)];
  return Number.isNaN(first) || Number.isNaN(second) ? a.localeCompare(b, "en", { numeric: true }) : first - second;
}

function sortRows(table, heading) {
  const column = heading.cellIndex;
  const isDescending = heading.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const key = (row) => row.cells[column].dataset.key;
  rows.sort((a, b) => {
    // What is missing comes last either way.
    if (key(a) === undefined || key(b) === undefined) return (key(a) === undefined) - (key(b) === undefined);
    return (isDescending ? -1 : 1) * compare(key(a), key(b));
  });
  body.append(...rows);
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  const order = isDescending ? "descending" : "ascending";
  heading.setAttribute("aria-sort", order);
  const name = heading.querySelector("button").textContent;
  document.getElementById("sorted").textContent = `${table.caption.textContent}: sorted by ${name}, ${order}`;
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const heading of table.tHead.rows[0].cells) {
    heading.querySelector("button")?.addEventListener("click", () => sortRows(table, heading));
  }
}

/* A link to a part of the page that is folded away opens it */

function openTarget() {
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details")?.setAttribute("open", "");
}

addEventListener("hashchange", openTarget);
openTarget();
