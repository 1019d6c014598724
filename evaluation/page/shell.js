// The page: reads the data, and draws each part by the function of its kind in `draw`. Texts become text nodes, so
// that names are shown and never run.
"use strict";

const draw = {}; // kind of a part -> (part) => node

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "swatch") node.style.setProperty("--swatch", value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "swatch") node.style.setProperty("--swatch", value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat());
  return node;
}

const color = (place) => (place >= 0 && place < 10 ? `var(--c${place})` : "var(--other)");

// Canvases need a color itself, not the name of a variable: what it is for `place`, which may be dark on a light page.
const known = new Map();
function computed(value, place = document.body) {
  const key = `${value} ${getComputedStyle(place).colorScheme} ${isDark()}`;
  if (!known.has(key)) {
    const probe = el("span", { hidden: true });
    probe.style.color = value;
    place.append(probe);
    known.set(key, getComputedStyle(probe).color);
    probe.remove();
  }
  return known.get(key);
}

function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function clock(seconds, digits = 1) {
  const tick = 10 ** digits;
  const whole = Math.max(0, Math.round(seconds * tick) / tick);
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

const themeChanged = new Set(); // called when light becomes dark or dark light
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
function themeButton() {
  const button = el("button", { type: "button", id: "theme" });
  const name = () => (button.textContent = isDark() ? "Light colors" : "Dark colors");
  const announce = () => {
    name();
    themeChanged.forEach((listener) => listener());
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    announce();
  });
  dark.addEventListener("change", announce);
  name();
  return button;
}

// Draw again when the width of a place changes: texts in charts keep their size.
function drawnToWidth(drawing) {
  const place = el("div");
  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - width) < 1 || !place.clientWidth) return;
    width = place.clientWidth;
    place.replaceChildren(drawing(width));
  }).observe(place);
  return place;
}

function swatchLegend(entries) {
  return el("ul", { class: "legend" }, entries.map(([name, tint]) => el("li", {}, el("span", { class: "dot", swatch: tint }), name)));
}

draw.Text = (part) => el("div", {}, part.paragraphs.map((text) => el("p", {}, text)));

draw.Figures = (part) =>
  el("dl", { class: "figures" }, part.figures.map((each) =>
    el("div", {}, el("dt", {}, each.name), el("dd", { class: "value" }, each.value), each.note ? el("dd", { class: "soft small" }, each.note) : null)));

draw.Beside = (part) => el("div", { class: "beside" }, part.parts.map(drawPart));

function drawPart(part) {
  const node = draw[part.kind](part);
  return part.title ? el("div", {}, el("h3", {}, part.title), node) : node;
}

function buildPage() {
  const page = JSON.parse(document.getElementById("data").textContent);
  document.getElementById("head").append(
    el("div", {}, el("h1", {}, page.title), page.subtitle ? el("p", { class: "subtitle" }, page.subtitle) : null), themeButton());
  const main = document.getElementById("main");
  main.replaceChildren();
  for (const [place, section] of page.sections.entries()) {
    const heading = section.title ? el("h2", { id: `section-${place}` }, section.title) : null;
    main.append(el("section", heading ? { "aria-labelledby": heading.id } : {}, heading,
      section.note ? el("p", { class: "note" }, section.note) : null, section.parts.map(drawPart)));
  }
  document.getElementById("foot").textContent = page.foot;
  document.documentElement.dataset.ready = "";
}
