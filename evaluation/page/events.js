// Who does what, from when to when: which events are shown, the choices that decide it, and their table.
"use strict";

const FIRST_EVENTS = 200;
const FIRST_CHIPS = innerWidth < 560 ? 5 : 10;

class EventView {
  constructor(actions, lowest) {
    this.actions = actions;
    this.events = []; // {person, action, start, end, peak, mean, peak_at}; an `end` of null goes on
    this.chosen = new Set(); // numbers of actions; none chosen shows all
    this.person = null;
    this.lowest = lowest;
    this.changed = new Set();
    this.tints = new Map();
    this.counts = new Map();
  }

  // The most frequent actions get colors of their own.
  add(events) {
    this.events.push(...events);
    for (const each of events) this.counts.set(each.action, (this.counts.get(each.action) || 0) + 1);
    for (const action of this.frequent()) if (!this.tints.has(action) && this.tints.size < 10) this.tints.set(action, this.tints.size);
    this.tell();
  }

  frequent() {
    return [...this.counts.keys()].sort((a, b) => this.counts.get(b) - this.counts.get(a) || a - b);
  }

  tint(action) {
    return color(this.tints.get(action) ?? -1);
  }

  passes(person, action, score) {
    return (this.person === null || person === this.person) && (!this.chosen.size || this.chosen.has(action)) && score >= this.lowest - 1e-9;
  }

  shown() {
    this.cached ??= this.events.filter((each) => this.passes(each.person, each.action, each.peak));
    return this.cached;
  }

  tell() {
    this.cached = null;
    this.changed.forEach((listener) => listener());
  }
}

const span = (event) => `${clock(event.start)} to ${event.end === null ? "now" : clock(event.end)}`;

function eventFilters(view, lowest) {
  let open = false;
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Actions" });
  const person = el("select", { "aria-label": "Person", onchange: () => { view.person = person.value === "" ? null : Number(person.value); view.tell(); } });
  const said = el("output", { class: "digits" });
  const score = el("input", { type: "range", min: String(lowest), max: "1", step: "0.01", value: String(lowest), "aria-label": "Lowest score", oninput: () => { view.lowest = Number(score.value); view.tell(); } });
  const all = el("button", { type: "button", class: "chip", onclick: () => { view.chosen.clear(); view.tell(); } }, "all actions");
  const more = el("button", { type: "button", class: "chip", onclick: () => { open = !open; fill(); } });
  const buttons = new Map();
  const chip = (action) => {
    if (!buttons.has(action))
      buttons.set(action, el("button", { type: "button", class: "chip", onclick: () => { view.chosen.has(action) ? view.chosen.delete(action) : view.chosen.add(action); view.tell(); } },
        el("span", { class: "dot" }), el("span", {}, view.actions[action]), el("span", { class: "soft digits" })));
    const button = buttons.get(action);
    button.firstChild.style.setProperty("--swatch", view.tint(action));
    button.lastChild.textContent = String(view.counts.get(action) ?? 0);
    button.setAttribute("aria-pressed", String(view.chosen.has(action)));
    return button;
  };
  let known = "";
  function fill() {
    const actions = view.frequent();
    const listed = open ? actions : actions.slice(0, FIRST_CHIPS);
    view.chosen.forEach((action) => listed.includes(action) || listed.push(action));
    all.setAttribute("aria-pressed", String(!view.chosen.size));
    more.hidden = actions.length <= FIRST_CHIPS;
    more.textContent = open ? "fewer" : `${actions.length - FIRST_CHIPS} more`;
    const wanted = [all, ...listed.map(chip), more];
    if (wanted.length !== chips.children.length || wanted.some((node, place) => chips.children[place] !== node)) {
      const focused = document.activeElement;
      chips.replaceChildren(...wanted);
      if (chips.contains(focused)) focused.focus();
    }
    const persons = [...new Set(view.events.map((each) => each.person))].sort((a, b) => a - b);
    if (persons.join() !== known) {
      known = persons.join();
      person.replaceChildren(el("option", { value: "" }, "every person"), ...persons.map((each) => el("option", { value: String(each) }, `person ${each}`)));
    }
    person.value = view.person === null ? "" : String(view.person);
    said.textContent = view.lowest.toFixed(2);
  }
  view.changed.add(fill);
  fill();
  return el("div", { class: "filters" }, chips, el("div", { class: "row" }, el("label", {}, el("span", { class: "soft small" }, "Person"), person), el("label", {}, el("span", { class: "soft small" }, "Score from"), score, said)));
}

// `jump(event)` is called when a row is chosen; without it rows are plain.
function eventTable(view, jump, { newest = false } = {}) {
  let shown = FIRST_EVENTS;
  let key = "start";
  let direction = newest ? -1 : 1;
  const value = { start: (each) => each.start, person: (each) => each.person, action: (each) => view.actions[each.action], peak: (each) => each.peak, seconds: (each) => (each.end ?? each.start) - each.start };
  const body = el("tbody");
  const count = el("p", { class: "small soft", "aria-live": newest ? null : "polite" });
  const more = el("button", { type: "button", onclick: () => { shown *= 4; fill(); } }, "Show more events");
  const heads = [["start", "time"], ["seconds", "seconds"], ["person", "person"], ["action", "action"], ["peak", "peak"]].map(([name, title]) =>
    el("th", { scope: "col", class: name === "action" || name === "start" ? "" : "number" }, el("button", { type: "button", class: "plain", onclick: () => {
      direction = key === name ? -direction : name === "peak" || name === "seconds" ? -1 : 1;
      key = name;
      fill();
    } }, title)));
  let rows = [];
  function fill() {
    const events = [...view.shown()].sort((a, b) => {
      const [first, second] = [value[key](a), value[key](b)];
      return direction * (typeof first === "string" ? first.localeCompare(second) : first - second) || a.start - b.start;
    });
    heads.forEach((head, place) => ["start", "seconds", "person", "action", "peak"][place] === key ? head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    rows = events.slice(0, shown).map((event) => [event, el("tr", {},
      el("td", { class: "digits" }, jump ? el("button", { type: "button", class: "plain jump", onclick: () => jump(event), title: `Jump to ${span(event)}` }, clock(event.start)) : clock(event.start)),
      el("td", { class: "number" }, event.end === null ? "goes on" : (event.end - event.start).toFixed(1)),
      el("td", { class: "number" }, String(event.person)),
      el("td", {}, el("span", { class: "dot inline", swatch: view.tint(event.action) }), view.actions[event.action]),
      el("td", { class: "number" }, event.peak.toFixed(2)))]);
    body.replaceChildren(...rows.map(([, row]) => row));
    count.textContent = `${events.length.toLocaleString("en-US")} of ${view.events.length.toLocaleString("en-US")} events`;
    more.hidden = events.length <= shown;
  }
  if (jump) body.addEventListener("click", (click) => {
    if (click.target.closest("button")) return;
    const row = rows.find(([, row]) => row.contains(click.target));
    if (row) jump(row[0]);
  });
  view.changed.add(() => { shown = FIRST_EVENTS; fill(); });
  fill();
  const now = (seconds) => rows.forEach(([event, row]) => row.classList.toggle("now", event.start <= seconds && seconds < (event.end ?? Infinity)));
  return { node: el("div", { class: "events" }, count, el("div", { class: "scroll tall", tabindex: "0", role: "group", "aria-label": "Events" }, el("table", {}, el("thead", {}, el("tr", {}, heads)), body)), more), now };
}
