// A video with boxes and names on a canvas above it, and the events of its persons.
"use strict";

const BUCKET = 10; // seconds
const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6.5 5h4v14h-4zm7 0h4v14h-4z",
  back: "M18 5v14l-10-7zM5 5h2.4v14H5z",
  on: "M6 5v14l10-7zM16.6 5H19v14h-2.4z",
};
const icon = (name) => svg("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, svg("path", { d: ICONS[name], fill: "currentColor" }));

// Where a person of a track is at a time, and what it does: a straight line between two knots, the scores of the nearer.
function onTrack(track, time) {
  const { times, boxes, actions } = track;
  let [low, high] = [0, times.length - 1];
  if (time <= times[0]) high = 0;
  else if (time >= times[high]) low = high;
  else while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  const share = low === high ? 0 : Math.min(1, Math.max(0, (time - times[low]) / (times[high] - times[low])));
  const box = boxes[low].map((side, place) => (side + share * (boxes[high][place] - side)) / 10000);
  return { person: track.person, box, actions: actions[share > 0.5 ? high : low] };
}

// The time of the page: that of the video, or of a clock of its own where there is none.
function pageClock(video, offset, duration) {
  let [alone, time, started, rate, running] = [!video, 0, 0, 1, false];
  let exact = null; // the time that was asked for, while the video shows it
  const own = () => (running ? Math.min(duration, time + ((performance.now() - started) / 1000) * rate) : time);
  return {
    changed: new Set(),
    tell() { this.changed.forEach((listener) => listener()); },
    lose() { alone = true; this.tell(); },
    get alone() { return alone; },
    now() { return alone ? own() : exact ?? Math.min(duration, Math.max(0, video.currentTime - offset)); },
    playing() { return alone ? running && own() < duration : !video.paused && !video.ended; },
    seek(to) {
      const wanted = Math.min(Math.max(0, to), duration);
      if (alone) [time, started] = [wanted, performance.now()];
      else {
        exact = video.paused ? wanted : null;
        video.currentTime = wanted + offset + 0.002; // a frame begins a little after its rounded time
      }
      this.tell();
    },
    play() {
      exact = null;
      if (alone) [time, started, running] = [own() >= duration ? 0 : own(), performance.now(), true];
      else video.play().catch(() => {});
      this.tell();
    },
    pause() {
      if (alone) [time, running] = [own(), false];
      else video.pause();
      this.tell();
    },
    speed(to) {
      if (alone) [time, started] = [own(), performance.now()];
      else video.playbackRate = to;
      rate = to;
    },
  };
}

// A video that is inside the page, as a file in memory: browsers jump in that at once.
function playable(address) {
  if (!address.startsWith("data:")) return address;
  const [head, content] = address.split(",", 2);
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}

function drawBoxes(canvas, persons, view) {
  const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const paint = canvas.getContext("2d");
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  paint.clearRect(0, 0, width, height);
  const size = Math.max(11, Math.min(15, width / 55));
  paint.font = `600 ${size}px system-ui, sans-serif`;
  paint.textBaseline = "middle";
  const look = persons.map(({ person, box, shown }) => ({
    person, shown,
    corners: [box[0] * width, box[1] * height, box[2] * width, box[3] * height],
    tint: shown.length > 0 ? computed(view.tint(shown[0][0]), canvas.parentNode) : "rgb(255 255 255 / 0.55)",
  }));
  // All boxes first: in a crowd no box may cross a label.
  for (const { corners: [x1, y1, x2, y2], shown, tint } of look)
    for (const [style, line] of shown.length > 0 ? [["rgb(0 0 0 / 0.5)", 4.5], [tint, 2.5]] : [[tint, 1]]) {
      paint.lineWidth = line;
      paint.strokeStyle = style;
      paint.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
  const taken = [];
  const ink = computed("light-dark(#fff, #0b1017)", canvas.parentNode);
  for (const { person, corners: [x1, y1, , y2], shown, tint } of look) {
    if (shown.length === 0) continue;
    const line = size + 4;
    const names = shown.map(([action, score], rank) => `${rank === 0 ? `${person} · ` : ""}${view.actions[action]} ${score.toFixed(2)}`);
    const labelOf = (count) => {
      const lines = names.slice(0, count);
      const wide = Math.max(...lines.map((text) => paint.measureText(text).width)) + 10;
      const high = lines.length * line + 2;
      const left = Math.max(0, Math.min(x1 - 1, width - wide));
      const free = (top) => top >= 0 && top + high <= height && !taken.some(([a, b, c, d]) => left < c && left + wide > a && top < d && top + high > b);
      const top = [y1 - high, y2 + 1, y1 - 2 * high, y2 + 1 + high, y1 - 3 * high, y1].find(free);
      return { lines, wide, high, left, top };
    };
    // A label that would hide its person, or another label, names the best action alone.
    const fewer = width < 480 || line * shown.length > 0.75 * (y2 - y1);
    let label = labelOf(fewer ? 1 : 3);
    if (label.top === undefined) label = labelOf(1);
    const { lines, wide, high, left, top = Math.max(0, Math.min(y1, height - high)) } = label;
    taken.push([left, top, left + wide, top + high]);
    paint.globalAlpha = 0.92;
    paint.fillStyle = tint;
    paint.beginPath();
    paint.roundRect(left, top, wide, high, 3);
    paint.fill();
    paint.globalAlpha = 1;
    paint.fillStyle = ink;
    lines.forEach((text, place) => paint.fillText(text, left + 5, top + 2 + (place + 0.5) * line));
  }
}

draw.Player = (part) => {
  const view = new EventView(part.actions, part.lowest);
  const columns = part.events;
  view.add(columns.person.map((person, row) => ({
    person, action: columns.action[row], start: columns.start[row], end: columns.end[row], peak: columns.peak[row], mean: columns.mean[row], peak_at: columns.peak_at[row],
  })));
  const buckets = new Map();
  for (const track of part.tracks)
    for (let each = Math.floor((track.times[0] - part.reach) / BUCKET); each <= (track.times[track.times.length - 1] + part.reach) / BUCKET; each += 1)
      buckets.has(each) ? buckets.get(each).push(track) : buckets.set(each, [track]);
  // A person stays for half a step before the first and after the last time at which it was found.
  const personsAt = (time) => (buckets.get(Math.floor(time / BUCKET)) || [])
    .filter((track) => time > track.times[0] - part.reach && time <= track.times[track.times.length - 1] + part.reach + 1e-6)
    .map((track) => {
      const found = onTrack(track, time);
      const named = [];
      for (let place = 0; place < found.actions.length; place += 2) named.push([found.actions[place], found.actions[place + 1] / 100]);
      return { ...found, shown: named.filter(([action, score]) => view.passes(found.person, action, score)) };
    });

  const video = part.video ? el("video", { src: playable(part.video), preload: "auto", playsinline: true, "aria-label": "The video" }) : null;
  const time = pageClock(video, part.offset, part.seconds);
  const canvas = el("canvas", { class: "boxes", "aria-hidden": "true" });
  const missing = el("p", { class: "missing small", hidden: Boolean(video) }, part.video && !part.video.startsWith("data:") ? `The video does not play here: ${part.video_name}. Keep it beside this page. Boxes, names and times are shown without it.` : "There is no video on this page. Boxes, names and times are shown without it.");
  const stage = el("div", { class: "stage" }, video, canvas);
  stage.style.aspectRatio = `${part.width} / ${part.height}`;
  stage.style.setProperty("--shape", String(part.width / part.height));
  const nowSaid = el("p", { class: "small", "aria-live": "polite", id: "now" });
  const words = () => {
    const persons = personsAt(time.now()).filter((each) => each.shown.length);
    const said = persons.map(({ person, shown }) => `person ${person}: ${shown.map(([action, score]) => `${part.actions[action]} ${score.toFixed(2)}`).join(", ")}`);
    return `${clock(time.now())} · ${said.length ? said.join("; ") : "no one does what is chosen"}`;
  };

  const jump = (event) => { time.seek(event.start); stage.scrollIntoView({ block: "nearest" }); };
  const table = eventTable(view, jump);
  const rows = timeline(view, () => part.seconds, (to) => time.seek(to), jump);

  const step = (by) => {
    time.pause();
    const now = time.now();
    const next = by > 0 ? part.moments.find((moment) => moment > now + 0.001) : part.moments.findLast((moment) => moment < now - 0.001);
    if (next !== undefined) time.seek(next);
  };
  const stepEvent = (by) => {
    const now = time.now();
    const starts = view.shown().map((event) => event.start).sort((a, b) => a - b);
    const next = by > 0 ? starts.find((start) => start > now + 0.001) : starts.findLast((start) => start < now - 0.001);
    if (next !== undefined) time.seek(next);
  };
  const toggle = () => (time.playing() ? time.pause() : time.play());
  const playButton = el("button", { type: "button", class: "strong", onclick: toggle });
  const position = el("input", { type: "range", min: "0", max: String(part.seconds), step: "0.01", value: "0", class: "grow", "aria-label": "Time", oninput: () => time.seek(Number(position.value)) });
  const reading = el("span", { class: "digits" });
  const boxes = el("input", { type: "checkbox", checked: !part.drawn, onchange: () => show() });
  const sound = video ? el("input", { type: "checkbox", checked: true, onchange: () => (video.muted = !sound.checked) }) : null;
  const speed = el("select", { "aria-label": "Speed", onchange: () => time.speed(Number(speed.value)) }, ["0.25", "0.5", "1", "2", "4", "8"].map((each) => el("option", { value: each, selected: each === "1" }, `${each}×`)));
  const full = el("button", { type: "button", onclick: () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()) }, "Full screen");

  let [lastSecond, revealed] = [-1, 0];
  function show() {
    const now = time.now();
    if (boxes.checked) drawBoxes(canvas, personsAt(now), view);
    else canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    rows.now(now);
    reading.textContent = `${clock(now)} / ${clock(part.seconds)}`;
    position.value = String(now);
    position.setAttribute("aria-valuetext", clock(now));
    const playing = time.playing();
    if (playButton.dataset.playing !== String(playing)) {
      playButton.dataset.playing = String(playing);
      playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
      playButton.replaceChildren(icon(playing ? "pause" : "play"));
    }
    if (!playing || Math.floor(now * 4) !== lastSecond) {
      lastSecond = Math.floor(now * 4);
      table.now(now);
      if (Math.abs(now - revealed) >= 1) {
        revealed = now;
        rows.reveal();
      }
      if (!playing) nowSaid.textContent = words();
    }
    if (playing) requestAnimationFrame(show);
  }
  time.changed.add(show);
  view.changed.add(show);
  themeChanged.add(show);
  new ResizeObserver(show).observe(stage);
  if (video) {
    for (const name of ["play", "pause", "ended", "seeked", "loadeddata"]) video.addEventListener(name, show);
    video.addEventListener("error", () => { missing.hidden = false; video.hidden = true; time.lose(); });
  }

  const keys = {
    " ": toggle, ArrowRight: () => step(1), ArrowLeft: () => step(-1), n: () => stepEvent(1), p: () => stepEvent(-1), b: () => boxes.click(), f: () => full.click(),
    "+": () => rows.zoom(0.5), "-": () => rows.zoom(2), Home: () => time.seek(0), End: () => time.seek(part.seconds),
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("select, input:not([type='range'], [type='checkbox'])") || (target.matches("input[type='range']") && target !== position)) return;
    if (event.key === " " && target.matches("button, summary, input[type='checkbox']")) return;
    if ((event.key === "Home" || event.key === "End") && !target.matches("input[type='range']") && target !== document.body) return;
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  const controls = el("div", { class: "row controls" },
    el("button", { type: "button", onclick: () => step(-1), "aria-label": "Previous key frame" }, icon("back")), playButton,
    el("button", { type: "button", onclick: () => step(1), "aria-label": "Next key frame" }, icon("on")), reading, position);
  const choices = el("div", { class: "row small" }, el("label", {}, boxes, "Boxes"), sound ? el("label", {}, sound, "Sound") : null, el("label", {}, "Speed", speed), full,
    el("details", {}, el("summary", {}, "Keys"), el("p", {}, "Space plays and pauses. ← → step by key frame, p n by event. + − zoom the rows, b boxes, f full screen, Home and End.")));
  show();
  return el("div", {},
    eventFilters(view, part.lowest),
    el("div", { class: "watch" }, el("div", { class: "watch-stage" }, stage, missing, controls, choices, nowSaid), table.node),
    el("h3", {}, "Persons"), rows.node, part.left_out ? el("p", { class: "note" }, part.left_out) : null);
};
