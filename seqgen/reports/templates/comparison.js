"use strict";

// The table: sorting by any column, a filter over labels, and which columns are shown.

function cellsOf(row) {
  return Array.from(row.cells);
}

function valueOf(row, column) {
  const cell = row.cells[column];
  if (column === 0) return cell.dataset.label;
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

function compareValues(a, b) {
  if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
  return a - b;
}

function sortRows(body, column, direction) {
  const sign = direction === "descending" ? -1 : 1;
  const rows = Array.from(body.rows);
  const place = (row) => Number(row.dataset.place);
  rows.sort((one, other) => {
    if (direction === "none") return place(one) - place(other);
    const a = valueOf(one, column);
    const b = valueOf(other, column);
    // What has no value is last, whichever way it goes.
    if (a === null || b === null) return (a === null) - (b === null) || place(one) - place(other);
    return sign * compareValues(a, b) || place(one) - place(other);
  });
  body.append(...rows);
}

function nextDirection(head) {
  const first = head.dataset.better === "higher" ? "descending" : "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  return { none: first, [first]: second, [second]: "none" }[head.getAttribute("aria-sort")];
}

function makeSortable(table) {
  const heads = cellsOf(table.tHead.rows[0]);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const direction = nextDirection(head);
      heads.forEach((each) => each.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", direction);
      sortRows(table.tBodies[0], column, direction);
    });
  });
}

function wordsOf(input) {
  return input.value.toLowerCase().split(/\s+/).filter(Boolean);
}

function hasAll(label, words) {
  const text = label.toLowerCase();
  return words.every((word) => text.includes(word));
}

function makeFilter(table) {
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const all = count.textContent;
  input.addEventListener("input", () => {
    const words = wordsOf(input);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !hasAll(row.cells[0].dataset.label, words);
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${all}` : all;
    document.getElementById("no-match").hidden = shown > 0;
  });
}

function makeColumns(table) {
  const heads = cellsOf(table.tHead.rows[0]);
  const singles = Array.from(document.querySelectorAll("#columns input"));
  const groups = Array.from(document.querySelectorAll("#groups input"));
  const main = new Set(singles.filter((each) => each.checked).map((each) => each.dataset.name));
  const groupOf = new Map(heads.map((head) => [head.dataset.name, head.dataset.group]));
  const membersOf = (group) => singles.filter((each) => groupOf.get(each.dataset.name) === group);

  function show() {
    const chosen = new Set(singles.filter((each) => each.checked).map((each) => each.dataset.name));
    heads.forEach((head, column) => {
      if (column === 0) return;
      const hidden = !chosen.has(head.dataset.name);
      for (const row of table.rows) row.cells[column].hidden = hidden;
    });
    for (const group of groups) {
      const members = membersOf(group.dataset.group);
      const checked = members.filter((each) => each.checked).length;
      group.checked = checked === members.length;
      group.indeterminate = checked > 0 && checked < members.length;
    }
  }

  singles.forEach((each) => each.addEventListener("change", show));
  groups.forEach((group) =>
    group.addEventListener("change", () => {
      membersOf(group.dataset.group).forEach((each) => (each.checked = group.checked));
      show();
    }),
  );
  document.getElementById("main-columns").addEventListener("click", () => {
    singles.forEach((each) => (each.checked = main.has(each.dataset.name)));
    show();
  });
  show();
}

// The outputs: only those of strategies with all words in their label.

function makeOutputs(outputs) {
  const input = document.getElementById("outputs-filter");
  input.addEventListener("input", () => {
    const words = wordsOf(input);
    for (const chip of outputs.querySelectorAll(".chip")) {
      chip.hidden = !hasAll(chip.dataset.label, words);
    }
    for (const made of outputs.querySelectorAll(".by > li:not(.reference)")) {
      made.hidden = made.querySelector(".chip:not([hidden])") === null;
    }
  });
  const button = document.getElementById("open-all");
  button.addEventListener("click", () => {
    const cards = Array.from(outputs.querySelectorAll("details.input"));
    const open = cards.some((card) => !card.open);
    cards.forEach((card) => (card.open = open));
    button.textContent = open ? "close all" : "open all";
  });
}

// The traces: a folded one is compressed, and is unpacked when it is opened.

async function unpack(details) {
  const bytes = Uint8Array.from(atob(details.dataset.packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  details.insertAdjacentHTML("beforeend", await new Response(stream).text());
}

for (const details of document.querySelectorAll("details[data-packed]")) {
  details.addEventListener("toggle", () => unpack(details), { once: true });
}

const systems = document.getElementById("systems");
if (systems) {
  makeSortable(systems);
  makeFilter(systems);
  makeColumns(systems);
}
const compared = document.getElementById("compared-outputs");
if (compared) makeOutputs(compared);
