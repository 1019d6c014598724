// A row for each person, with a bar for each event. Only the rows in sight are drawn; the table says the same in words.
"use strict";

const BAR = 9;
const LANES = 4;
const AXIS = 24;

// Without `jumpTo` the rows are those of a live source: of persons who are in sight, the latest first.
function timeline(view, seconds, jumpTo, jump) {
  let [from, to] = [0, Math.max(seconds(), 1)];
  let all = true;
  let now = 0;
  let rows = [];
  let bars = [];
  const canvas = el("canvas", { role: "img", "aria-label": "Actions of each person over time; the table of events says the same" });
  const head = el("div", { class: "playhead" });
  const inside = el("div", { class: "timeline-inside" }, canvas, head);
  const place = el("div", { class: "timeline scroll" }, inside);
  const said = el("p", { class: "small soft digits timeline-said" });
  const gutter = () => (place.clientWidth < 560 ? 44 : 84);
  const x = (time) => gutter() + ((time - from) / (to - from)) * (place.clientWidth - gutter() - 10);
  const timeAt = (pixel) => from + ((pixel - gutter()) / (place.clientWidth - gutter() - 10)) * (to - from);

  function layout() {
    const of = new Map();
    for (const event of view.shown()) if (jumpTo || (event.end ?? Infinity) >= from) of.has(event.person) ? of.get(event.person).push(event) : of.set(event.person, [event]);
    let top = AXIS + 4;
    rows = [...of.entries()].map(([person, events]) => ({ person, events: events.sort((a, b) => a.start - b.start) }));
    if (jumpTo) rows.sort((a, b) => a.events[0].start - b.events[0].start || a.person - b.person);
    else rows.sort((a, b) => b.person - a.person);
    for (const row of rows) {
      const ends = [];
      row.lanes = row.events.map((event) => {
        let lane = ends.findIndex((end) => end <= event.start + 1e-6);
        if (lane < 0) lane = ends.length < LANES ? ends.length : LANES - 1;
        ends[lane] = event.end ?? Infinity;
        return lane;
      });
      row.top = top;
      row.height = Math.max(20, ends.length * (BAR + 2) + 8);
      top += row.height;
    }
    inside.style.height = `${Math.max(top + 6, AXIS + 40)}px`;
    draw();
  }

  function draw() {
    const [width, height, scale] = [place.clientWidth, place.clientHeight, devicePixelRatio || 1];
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const paint = canvas.getContext("2d");
    paint.scale(scale, scale);
    const [ink, soft, line, card, raised] = ["--ink", "--soft", "--line", "--card", "--raised"].map((name) => computed(`var(${name})`));
    paint.font = "12px system-ui, sans-serif";
    paint.textBaseline = "middle";
    const marks = ticksOfTime(from, to, Math.max(2, Math.floor((width - gutter()) / 110)));
    paint.strokeStyle = line;
    for (const time of marks) {
      paint.beginPath();
      paint.moveTo(x(time), AXIS - 5);
      paint.lineTo(x(time), height);
      paint.stroke();
    }
    bars = [];
    rows.forEach((row, order) => {
      const top = row.top - place.scrollTop;
      if (top + row.height < AXIS || top > height) return;
      if (order % 2) {
        paint.fillStyle = raised;
        paint.globalAlpha = 0.55;
        paint.fillRect(0, top, width, row.height);
        paint.globalAlpha = 1;
      }
      row.events.forEach((event, each) => {
        const end = event.end ?? seconds();
        if (end < from || event.start > to) return;
        const left = Math.max(x(event.start), gutter());
        const right = Math.min(Math.max(x(end) - 0.5, left + 2.5), width);
        const y = top + 4 + row.lanes[each] * (BAR + 2);
        paint.fillStyle = computed(view.tint(event.action));
        paint.globalAlpha = 0.45 + 0.55 * event.peak;
        paint.beginPath();
        paint.roundRect(left, y, right - left, BAR, Math.min(3, (right - left) / 2));
        paint.fill();
        paint.globalAlpha = 1;
        bars.push([left, y, right, y + BAR, event]);
      });
      paint.fillStyle = ink;
      paint.fillText(gutter() > 60 ? `person ${row.person}` : `P ${row.person}`, 8, top + Math.min(row.height / 2, 12));
    });
    paint.fillStyle = card;
    paint.fillRect(0, 0, width, AXIS);
    paint.fillStyle = soft;
    for (const time of marks) {
      paint.textAlign = x(time) > width - 40 ? "right" : x(time) < gutter() + 12 ? "left" : "center";
      paint.fillText(clock(time, to - from < 20 ? 1 : 0), x(time), AXIS / 2);
    }
    paint.textAlign = "left";
    if (!rows.length) paint.fillText(view.events.length ? "No event fits the choices above." : "No events.", gutter(), AXIS + 22);
    moved();
  }

  function moved() {
    const shown = now >= from && now <= to;
    head.hidden = !shown;
    if (shown) head.style.transform = `translateX(${x(now)}px)`;
  }

  // Bring a row into sight that has an event now, unless one is.
  function reveal() {
    const busy = rows.filter((row) => row.events.some((event) => event.start <= now && now < (event.end ?? Infinity)));
    const [top, bottom] = [place.scrollTop + AXIS, place.scrollTop + place.clientHeight];
    if (busy.length && !busy.some((row) => row.top >= top - 1 && row.top + row.height <= bottom + 1)) place.scrollTop = busy[0].top - AXIS - 4;
  }

  function look(first, last) {
    const whole = Math.max(seconds(), 1);
    const length = Math.min(whole, Math.max(1, last - first));
    from = Math.min(Math.max(0, first), whole - length);
    to = from + length;
    all = length >= whole - 1e-6;
    jumpTo ? draw() : layout();
  }
  const zoom = (factor, center = now >= from && now <= to ? now : (from + to) / 2) => look(center - (center - from) * factor, center + (to - center) * factor);

  const at = (pointer) => {
    const box = canvas.getBoundingClientRect();
    const [px, py] = [pointer.clientX - box.left, pointer.clientY - box.top];
    return [px, bars.findLast(([left, top, right, bottom]) => px >= left - 2 && px <= right + 2 && py >= top - 1 && py <= bottom + 1 && py > AXIS)];
  };
  let dragged = false;
  canvas.addEventListener("pointerdown", (pointer) => {
    const [px, bar] = at(pointer);
    if (bar && jump) return jump(bar[4]);
    if (!jumpTo || px < gutter()) return;
    dragged = true;
    canvas.setPointerCapture(pointer.pointerId);
    jumpTo(Math.min(Math.max(timeAt(px), 0), seconds()));
  });
  canvas.addEventListener("pointermove", (pointer) => {
    const [px, bar] = at(pointer);
    if (dragged) jumpTo(Math.min(Math.max(timeAt(px), 0), seconds()));
    canvas.style.cursor = bar || (jumpTo && px > gutter()) ? "pointer" : "default";
    said.textContent = bar ? `${span(bar[4])} · person ${bar[4].person} · ${view.actions[bar[4].action]} · peak ${bar[4].peak.toFixed(2)}, mean ${bar[4].mean.toFixed(2)}` : "";
  });
  canvas.addEventListener("pointerup", () => (dragged = false));
  canvas.addEventListener("pointercancel", () => (dragged = false));
  canvas.addEventListener("wheel", (wheel) => {
    if (wheel.ctrlKey) zoom(wheel.deltaY > 0 ? 1.25 : 0.8, timeAt(at(wheel)[0]));
    else if (wheel.deltaX && !all) look(from + (wheel.deltaX / place.clientWidth) * (to - from), to + (wheel.deltaX / place.clientWidth) * (to - from));
    else return;
    wheel.preventDefault();
  }, { passive: false });
  place.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(place);
  view.changed.add(layout);
  themeChanged.add(draw);
  layout();
  const tools = el("div", { class: "row" }, jumpTo ? [
    el("button", { type: "button", onclick: () => zoom(2), "aria-label": "Zoom out" }, "−"),
    el("button", { type: "button", onclick: () => zoom(0.5), "aria-label": "Zoom in" }, "+"),
    el("button", { type: "button", onclick: () => look(0, seconds()) }, "Whole time")] : null, said);
  return {
    node: el("div", {}, tools, place),
    zoom,
    look,
    reveal,
    now(time) {
      now = time;
      if (!all && (now > to || now < from)) look(now - 0.1 * (to - from), now + 0.9 * (to - from));
      else moved();
    },
  };
}

function ticksOfTime(from, to, count) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const step = steps.find((each) => each >= (to - from) / count) ?? 86400;
  const found = [];
  for (let number = Math.ceil(from / step - 1e-9); number * step <= to + 1e-9; number += 1) found.push(number * step);
  return found;
}
