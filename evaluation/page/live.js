// A live source: its pictures as they come, and what happens in it.
"use strict";

const KEPT_EVENTS = 1000;
const WINDOW = 120; // seconds of the rows

draw.Live = (part) => {
  const view = new EventView(part.actions, part.lowest);
  const token = location.search;
  let [latest, ended] = [0, false];
  const image = el("img", { alt: `Live pictures of ${part.name}, with boxes around persons`, src: part.pictures + token });
  image.addEventListener("error", () => ended || setTimeout(() => (image.src = part.pictures + token), 2000));
  const stage = el("div", { class: "stage" }, image);
  const shape = (ratio) => { stage.style.aspectRatio = String(ratio); stage.style.setProperty("--shape", String(ratio)); };
  shape(16 / 9);
  const said = el("p", { class: "small digits", id: "now", role: "status" }, "Waiting for the first key frame …");
  const rows = timeline(view, () => latest, null, null);
  const table = eventTable(view, null, { newest: true });
  const going = new Map(); // events that go on, by person and action

  function happened(event) {
    const key = `${event.person} ${event.action}`;
    const before = going.get(key);
    if (before) view.events.splice(view.events.indexOf(before), 1);
    if (event.end === null) going.set(key, event);
    else going.delete(key);
    if (before) view.counts.set(event.action, view.counts.get(event.action) - 1);
    view.events.splice(0, Math.max(0, view.events.length - KEPT_EVENTS));
    view.add([event]);
  }
  // Many messages that come at once, as at the start, are drawn once.
  let waiting = [];
  function drawWaiting() {
    const tell = view.tell;
    view.tell = () => {};
    waiting.forEach(happened);
    view.tell = tell;
    waiting = [];
    view.tell();
  }

  const source = new EventSource(part.messages + token);
  source.addEventListener("event", (message) => {
    if (!waiting.length) requestAnimationFrame(drawWaiting);
    waiting.push(JSON.parse(message.data));
  });
  source.addEventListener("now", (message) => {
    const now = JSON.parse(message.data);
    latest = Math.max(latest, now.time);
    if (now.width) shape(now.width / now.height);
    said.textContent = `${clock(now.time)} · ${now.persons === 1 ? "1 person" : `${now.persons} persons`} · delay ${now.delay.toFixed(1)} s${now.left_out ? ` · ${now.left_out} key frames left out` : ""}`;
    rows.look(latest - WINDOW, latest);
    rows.now(latest);
  });
  source.addEventListener("end", () => {
    ended = true;
    source.close();
    said.textContent = `The source ended at ${clock(latest)}.`;
  });
  source.addEventListener("error", () => ended || (said.textContent = "The connection is lost; trying again …"));
  addEventListener("pagehide", () => source.close());

  return el("div", {}, eventFilters(view, part.lowest),
    el("div", { class: "watch" }, el("div", { class: "watch-stage" }, stage, said), table.node),
    el("h3", {}, "Persons, the last two minutes"), rows.node);
};
