"use strict";

// The page: what is asked for, the text as it is written, and what is behind each of its tokens.
//
// A *moment* is a token of the text with what was there when it was drawn: the shares of its rivals,
// the number that decided, the attention, and the state after it was read. `view` is the moment that
// is shown: its place, or "next", for what may come after the text.

const given = JSON.parse(document.getElementById("document").textContent);
const inputs = vocabularyOf(given.inputs);
const outputs = vocabularyOf(given.outputs);
const weights = weightsOf(given.shapes, given.halves);
const sizes = { sources: inputs.size, outputs: outputs.size };
const model = models[given.spec.name](given.spec, weights, sizes);

const RIVALS = document.getElementById("heat") ? 12 : 8; // bars
const NUMBERS = 2 ** 24; // the most that is kept of states
const at = (id) => document.getElementById(id);
const [textField, seedField, lengthField, paceField] = ["prompt", "seed", "length", "pace"].map(at);
const [hotField, cutField] = ["temperature", "value"].map(at);
const cutFields = [...document.querySelectorAll("[name=truncation]")];
const cuts = {
  none: { value: 0, low: 0, high: 1, step: 1 },
  top_k: { value: Math.min(10, outputs.size), low: 1, high: outputs.size, step: 1 },
  top_p: { value: 0.9, low: 0.01, high: 1, step: 0.01 },
  min_p: { value: 0.1, low: 0, high: 1, step: 0.01 },
};

let writer, moments, asked, count, ended, noise, rows;
let view = "next";
let tint = null; // the unit that colours the text
let running = null; // since when, and how many tokens were there then

function make(tag, options = {}, ...children) {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...children);
  return made;
}

// Writing

const settings = () => {
  const truncation = cutFields.find((each) => each.checked).value;
  return { truncation, value: cuts[truncation].value, temperature: Number(hotField.value) };
};

function limit() {
  const longest = Math.min(given.longest, Math.floor(NUMBERS / writer.units));
  const wanted = Math.min(longest, Math.max(1, Math.floor(Number(lengthField.value)) || 1));
  if (given.ratio === null) return wanted;
  const read = asked.source.length || asked.prompt.length;
  return Math.min(wanted, Math.floor(given.ratio * read + 1e-9) + given.extra);
}

function scores() {
  const found = writer.scores();
  for (const token of given.never) found[token] = -Infinity;
  return found;
}

const snapshot = () => concat(writer.leaves);

/** Begin anew: read the prompt or the source, and stand before the first token. */
function restart() {
  stop();
  noise = noiseOf(/^\d+$/.test(seedField.value) ? seedField.value : 0);
  asked = readings[given.data](textField.value, inputs, given.changes);
  writer = model.begin(asked.source);
  writer.units = writer.leaves.reduce((total, each) => total + each.length, 0);
  [moments, count, ended, rows, view] = [[], 0, false, 0, "next"];
  const hidden = asked.source.length ? asked.prompt.length : asked.prompt.length - asked.pieces.length;
  asked.prompt.forEach((token, place) => {
    writer.read(token);
    if (place < hidden) return;
    moments.push({ text: asked.pieces[place - hidden], units: snapshot(), asked: true });
  });
  at("text").replaceChildren();
  if (at("heat")) beginHeat();
  show();
}

/** Draw a token; whether there was one to draw. */
function step() {
  if (ended || count >= limit()) return false;
  const before = count ? moments.at(-1).token : undefined;
  const moment = momentOf(noise(count));
  const { token } = moment;
  ended = token === EOS && !given.never.includes(EOS);
  // What a text adds to a prompt follows its last token; an output has nothing before it.
  const last = before ?? (asked.source.length ? undefined : asked.prompt.at(-1));
  moment.text = ended ? "" : outputs.adds(token, last === BOS ? undefined : last);
  if (!ended) writer.read(token);
  moment.units = snapshot();
  moments.push(moment);
  count++;
  return true;
}

/** What would be drawn now at `point`, with its rivals and the parts of the interval. */
function momentOf(point) {
  const chosen = settings();
  const { model: own, from, token } = choose(scores(), chosen, point);
  const rivals = ordered(own).slice(0, RIVALS);
  if (!rivals.includes(token)) rivals[rivals.length - 1] = token;
  const parts = [];
  let end = 0;
  from.forEach((share, each) => {
    if (share > 0.002 || (share && each === token)) parts.push({ token: each, begin: end, share });
    end += share;
  });
  return {
    token,
    parts,
    point: chosen.temperature ? point : null,
    rivals: rivals.map((each) => ({ token: each, model: own[each], from: from[each] })),
    shares: writer.shares,
  };
}

function run(now) {
  if (!running) return;
  const pace = Number(paceField.value);
  const until = performance.now() + 12;
  const due = pace === Infinity ? pace : Math.floor(((now - running.since) / 1000) * pace);
  let goes = true;
  while (goes && running.done < due && performance.now() < until) {
    goes = step();
    running.done++;
  }
  if (running.done < due) [running.since, running.done] = [now, 0]; // it cannot keep that pace
  view = last();
  if (!goes || ended || count >= limit()) stop();
  show();
  if (running) requestAnimationFrame(run);
}

function go() {
  if (running) {
    stop();
  } else {
    if (ended || count >= limit()) restart();
    running = { since: performance.now(), done: 0 };
    at("go").textContent = "Stop";
    requestAnimationFrame(run);
  }
  show();
}

/** What is shown while the text grows. */
const last = () => (moments.length ? moments.length - 1 : "next");

function stop() {
  running = null;
  at("go").textContent = "Generate";
}

// Showing

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text in which nothing is invisible, or acts on the page. */
const visible = (text) =>
  text.replace(INVISIBLE, (each) => {
    if ("\n\t\u200c\u200d".includes(each)) return each;
    return `\\u${each.codePointAt(0).toString(16).padStart(4, "0")}`;
  });

const MARKS = { " ": "␣", "\n": "↵", "\t": "⇥" };

/** A piece of text on one line; a mark that belongs to the letter before gets a circle. */
function label(piece) {
  const shown = visible(piece).replace(/[ \n\t]/g, (each) => MARKS[each]);
  return /^\p{M}/u.test(shown) ? `\u25cc${shown}` : shown;
}

const labelOf = (token) => (token === EOS ? "end" : label(outputs.shown(token)));
const percent = (share) =>
  share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function show() {
  const moment = view === "next" ? { ...momentOf(0.5), next: true } : moments[view];
  showText();
  showOdds(moment);
  showGrids();
  if (at("heat")) showHeat();
  const left = limit() - count;
  at("step").disabled = ended || left <= 0;
  const unknown = asked.pieces.filter((each) => inputs.encode([each])[0] === UNK);
  const most = ended ? count - 1 : count + Math.max(0, left);
  const many = `${most} ${given.unit}${most === 1 ? "" : "s"}`;
  const said = ended ? `${many}, then the end` : `${count} of ${many}`;
  const strange = [...new Set(unknown)].map(label).join(" ");
  at("said").ariaLive = running ? "off" : "polite"; // or each token would be read out
  at("said").textContent = strange ? `${said}; unknown to it: ${strange}` : said;
  if (!running) at("python").textContent = inPython();
}

function showText() {
  const text = at("text");
  for (let place = text.childElementCount; place < moments.length; place++) {
    const moment = moments[place];
    const piece = make("i", { textContent: visible(moment.text) });
    if (moment.asked) piece.className = "asked";
    text.append(piece);
    if (tint !== null) colour(piece, moment);
  }
  text.querySelector(".shown")?.classList.remove("shown");
  const shown = text.children[view];
  if (shown && !running) shown.classList.add("shown");
  if (running || view === "next" || view === last()) text.scrollTop = text.scrollHeight;
  else shown?.scrollIntoView({ block: "nearest" });
}

/** How strong the colour of a unit is, from -1 to 1: a hidden one is between these, a memory of any
 * size. */
const strength = (value, { name }) =>
  name.endsWith("memory") ? value / (4 + Math.abs(value)) : Math.max(-1, Math.min(1, value));
const gridOf = (unit) => grids.findLast((each) => each.first <= unit);
const colours = (value) => `rgb(var(${value < 0 ? "--miss" : "--hit"}) / ${Math.abs(value).toFixed(2)})`;

function colour(piece, moment) {
  const value = tint === null ? 0 : strength(moment.units[tint], gridOf(tint));
  piece.style.background = tint === null ? "" : colours(0.6 * value);
}

const odds = Array.from({ length: Math.min(RIVALS, outputs.size) }, () => {
  const [own, from] = ["model", "from"].map((className) => make("i", { className }));
  const [piece, track, share] = ["code", "span", "span"].map((tag) => make(tag));
  track.className = "track";
  track.append(own, from);
  const row = make("li", {}, piece, track, share);
  at("odds").append(row);
  return { row, piece, own, from, share };
});

function showOdds(moment) {
  if (!moment.rivals) {
    [at("title").textContent, at("drawn").textContent] = ["Part of the prompt", "It was read, not drawn."];
    at("strip").replaceChildren();
    odds.forEach(({ row }) => (row.style.visibility = "hidden"));
    return;
  }
  at("title").textContent = moment.next ? "What may come next" : `How ${moment.token === EOS ? "the end" : labelOf(moment.token)} was drawn`;
  moment.rivals.forEach(({ token, model, from }, n) => {
    const { row, piece, own, from: bar, share } = odds[n];
    row.style.visibility = "visible";
    row.className = `${!moment.next && token === moment.token ? "chosen" : ""} ${from ? "" : "out"}`;
    piece.textContent = labelOf(token);
    own.style.width = `${100 * model}%`;
    bar.style.width = `${100 * from}%`;
    share.textContent = from ? percent(from) : "–";
  });
  const strip = moment.parts.map(({ token, begin, share }) => {
    const part = make("b", { textContent: share > 0.035 ? labelOf(token) : "" });
    if (!moment.next && token === moment.token) part.className = "drawn";
    part.style.left = `${100 * begin}%`;
    part.style.width = `${100 * share}%`;
    return part;
  });
  if (!moment.next && moment.point !== null) {
    const needle = make("u");
    needle.style.left = `${100 * moment.point}%`;
    strip.push(needle);
  }
  at("strip").replaceChildren(...strip);
  at("drawn").textContent = drawing(moment);
}

/** How the number decided, in a sentence. */
function drawing({ next, point, token, parts }) {
  if (next) return "A number from 0 to 1 will fall on one.";
  if (point === null) return "At temperature 0 the most probable comes.";
  const { begin, share } = parts.find((each) => each.token === token);
  const range = [begin, begin + share].map((each) => each.toFixed(3));
  return `${point.toFixed(4)} falls on ${labelOf(token)}, from ${range[0]} to ${range[1]}.`;
}

// The grids: a canvas for each vector of the state, with a square for each of its units.

let grids = [];
let colourOf = () => "";

function layGrids() {
  const style = getComputedStyle(document.documentElement);
  const names = ["--hit", "--miss", "--panel", "--ink"];
  const [above, below, panel, ink] = names.map((name) => style.getPropertyValue(name));
  colourOf = (value) => `rgb(${value < 0 ? below : above} / ${Math.abs(value).toFixed(2)})`;
  let first = 0;
  grids.forEach((grid) => {
    const width = grid.canvas.clientWidth;
    const units = grid.units;
    const room = Math.max(1, Math.min(units, Math.floor(width / 10)));
    // As many columns as there is room for, by which the units can be divided if possible.
    const even = Array.from({ length: room }, (_, n) => room - n).find((n) => units % n === 0);
    const columns = even > room / 2 ? even : room;
    const size = Math.min(width / columns, 22);
    const scale = devicePixelRatio || 1;
    Object.assign(grid, { first, columns, size, scale, panel, ink, rows: Math.ceil(units / columns) });
    grid.canvas.style.height = `${grid.rows * size}px`;
    grid.canvas.width = Math.round(width * scale);
    grid.canvas.height = Math.round(grid.rows * size * scale);
    first += units;
  });
}

const shownUnits = () => (view === "next" ? snapshot() : moments[view].units);

function showGrids() {
  const values = shownUnits();
  for (const grid of grids) {
    const { canvas, first, units, columns, size, scale, panel, ink } = grid;
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (let n = 0; n < units; n++) {
      const [x, y] = [(n % columns) * size, Math.floor(n / columns) * size];
      pen.beginPath();
      pen.roundRect(x + 0.75, y + 0.75, size - 1.5, size - 1.5, size / 6);
      for (const fill of [panel, colourOf(strength(values[first + n], grid))]) {
        pen.fillStyle = fill;
        pen.fill();
      }
      if (first + n === tint) {
        pen.lineWidth = 1.5;
        pen.strokeStyle = ink;
        pen.stroke();
      }
    }
  }
  sayUnit(tint);
}

const nameOf = (unit) => {
  const grid = gridOf(unit);
  return `${grid.name} ${unit - grid.first}`;
};

function sayUnit(unit) {
  const value = unit === null ? 0 : shownUnits()[unit];
  const signed = `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  at("unit").textContent =
    unit === null
      ? "Click a unit to tint the text by it."
      : `${nameOf(unit)}: ${signed}${unit === tint ? ", tints the text" : ""}`;
}

function tintBy(unit) {
  tint = unit;
  [...at("text").children].forEach((piece, place) => colour(piece, moments[place]));
  grids.forEach(({ canvas, first, units, name }) => {
    const own = unit !== null && unit >= first && unit < first + units;
    canvas.ariaValueNow = own ? unit - first : 0;
    canvas.ariaValueText = own ? `${name} ${unit - first} tints the text` : "none";
  });
  showGrids();
}

function addGrid(name, units) {
  const canvas = make("canvas", { tabIndex: 0, role: "slider", ariaLabel: `Unit of ${name}` });
  Object.assign(canvas, { ariaValueMin: 0, ariaValueMax: units - 1, ariaValueNow: 0, ariaValueText: "none" });
  const grid = { canvas, name, units };
  const unitAt = ({ offsetX, offsetY }) => {
    const column = Math.floor(offsetX / grid.size);
    const unit = Math.floor(offsetY / grid.size) * grid.columns + column;
    return column < grid.columns && unit >= 0 && unit < units ? grid.first + unit : null;
  };
  canvas.addEventListener("pointermove", (event) => sayUnit(unitAt(event) ?? tint));
  canvas.addEventListener("pointerleave", () => sayUnit(tint));
  canvas.addEventListener("click", (event) => {
    const unit = unitAt(event);
    tintBy(unit === tint ? null : unit);
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns };
    if (event.key === "Escape") return tintBy(null);
    if (!(event.key in moves)) return undefined;
    event.preventDefault();
    const here = tint === null ? null : tint - grid.first;
    const there = here === null || here < 0 || here >= units ? 0 : here + moves[event.key];
    return tintBy(grid.first + Math.max(0, Math.min(units - 1, there)));
  });
  at("grids").append(make("figure", {}, make("figcaption", { textContent: name }), canvas));
  grids.push(grid);
}

// The heat map: a row for each token of the output.

function beginHeat() {
  const pieces = [...asked.pieces.map(label), "∎"];
  const heads = pieces.map((each) => make("th", { scope: "col", textContent: each }));
  const filler = make("tr", { className: "fill" }, make("td"));
  filler.firstChild.style.boxShadow = "none";
  const head = make("thead", {}, make("tr", {}, make("td"), ...heads));
  head.firstChild.firstChild.style.boxShadow = "none";
  at("heat").replaceChildren(head, make("tbody"), make("tfoot", {}, filler));
}

function showHeat() {
  const body = at("heat").tBodies[0];
  for (; rows < moments.length; rows++) {
    const { token, shares } = moments[rows];
    const looked = Array.from(shares, (share) => {
      const cell = make("td", { className: "hit", title: percent(share) });
      cell.style.setProperty("--w", share.toFixed(3));
      return cell;
    });
    body.append(make("tr", {}, make("th", { scope: "row", textContent: labelOf(token) }), ...looked));
  }
  [...body.rows].forEach((row, place) => row.classList.toggle("shown", place === view));
}

// What a person does

/** The call in Python that gives this text. */
function inPython() {
  const { temperature, truncation, value } = settings();
  const option = { top_k: "k", top_p: "p", min_p: "p" }[truncation];
  const cut = option ? `, truncations=[{"name": "${truncation}", "${option}": ${value}}]` : "";
  const text = JSON.stringify(textField.value);
  const seed = /^\d+$/.test(seedField.value) ? BigInt(seedField.value) : 0n;
  return [
    "import seqgen",
    "from seqgen.browser import rounded",
    "",
    `run = rounded(seqgen.load(${JSON.stringify(given.run)}))`,
    `run.generate(${text}, "multinomial", ${limit()}, ${seed}, temperature=${temperature}${cut})`,
  ].join("\n");
}

function showSettings() {
  const { temperature, truncation } = settings();
  const { value, low, high, step: by } = cuts[truncation];
  at("hot").textContent = temperature ? temperature.toFixed(2) : "0 (the most probable)";
  at("cut").textContent = truncation === "none" ? "" : by < 1 ? value.toFixed(2) : value;
  Object.assign(cutField, { min: low, max: high, step: by, disabled: truncation === "none" });
  cutField.value = value;
}

/** What a change of the settings makes of the token that comes next. */
function changed() {
  showSettings();
  if (!running) view = "next";
  show();
}

function lookAt(place) {
  stop();
  view = Math.max(0, Math.min(moments.length - 1, place));
  show();
}

at("go").addEventListener("click", go);
at("reset").addEventListener("click", restart);
at("step").addEventListener("click", () => {
  stop();
  step();
  view = last();
  show();
});
at("another").addEventListener("click", () => {
  seedField.value = Math.floor(Math.random() * 1e6);
  restart();
});
for (const each of [textField, seedField]) each.addEventListener("input", restart);
for (const each of [hotField, ...cutFields, lengthField]) each.addEventListener("input", changed);
cutField.addEventListener("input", () => {
  cuts[settings().truncation].value = Number(cutField.value);
  changed();
});
at("text").addEventListener("click", (event) => {
  const piece = event.target.closest("i");
  if (piece) lookAt([...at("text").children].indexOf(piece));
});
at("text").addEventListener("keydown", (event) => {
  const here = view === "next" ? moments.length : view;
  const moves = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: moments.length - 1 };
  if (!(event.key in moves) || !moments.length) return;
  event.preventDefault();
  lookAt(moves[event.key]);
});
at("generator").addEventListener("submit", (event) => event.preventDefault());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  layGrids();
  show();
});
addEventListener("resize", () => {
  layGrids();
  show();
});

function begin() {
  const { prompt, temperature, truncation, value, seed, length } = given.start;
  if (truncation !== "none") cuts[truncation].value = value;
  Object.assign(textField, { value: prompt });
  Object.assign(hotField, { value: temperature });
  Object.assign(seedField, { value: seed });
  Object.assign(lengthField, { value: length });
  cutFields.find((each) => each.value === truncation).checked = true;
  const first = model.begin([EOS]).leaves;
  model.names.forEach((name, n) => addGrid(name, first[n].length));
  layGrids();
  showSettings();
  restart();
}

begin();
