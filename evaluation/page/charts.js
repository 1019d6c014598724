// Bars, curves, histograms and matrices, from the data of evaluation/page/parts.py.
"use strict";

const tint = (series, place) => (series.tint >= 0 ? color(series.tint) : color(place));

// A table: a row for each name, a bar for each series. The table is its own text alternative.
draw.Bars = (part) => {
  const several = part.series.length > 1;
  const lengths = part.stacked
    ? part.names.map((_, row) => part.series.reduce((sum, each) => sum + Math.max(0, each.values[row] ?? 0), 0))
    : part.series.flatMap((each) => each.values.filter((value) => value !== null));
  const largest = part.largest || Math.max(1e-9, ...lengths);
  const share = (value) => `${(100 * Math.min(1, Math.max(0, value / largest))).toFixed(2)}%`;
  const bar = (series, place, row) => {
    const value = series.values[row];
    const node = el("div", { class: "bar", swatch: part.tints.length && !several ? color(part.tints[row]) : tint(series, place) });
    node.style.width = value === null ? "0" : share(value);
    node.title = `${part.names[row]}${several ? `, ${series.name}` : ""}: ${number(value, part.digits)}`;
    if (part.stacked) return node;
    const holder = el("div", { class: "holder" }, node);
    if (series.low.length && series.low[row] !== null && series.high[row] !== null) {
      const whisker = el("div", { class: "whisker" });
      whisker.style.left = share(series.low[row]);
      whisker.style.width = `${(100 * (Math.min(series.high[row], largest) - series.low[row])) / largest}%`;
      node.title += ` (${number(series.low[row], part.digits)} to ${number(series.high[row], part.digits)})`;
      holder.append(whisker);
    }
    return holder;
  };
  const rows = part.names.map((name, row) => {
    const track = el("div", { class: `track${part.stacked ? " stacked" : several ? " several" : ""}` }, part.series.map((series, place) => bar(series, place, row)));
    if (part.mean !== null) {
      const mean = el("div", { class: "mean", title: `mean ${number(part.mean, part.digits)}` });
      mean.style.left = share(part.mean);
      track.append(mean);
    }
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, track),
      part.series.map((series, place) => el("td", { class: `number${part.stacked && place ? " visually-hidden" : ""}` }, number(series.values[row], part.digits))),
      part.notes.length ? el("td", { class: "number" }, part.notes[row]) : null);
  });
  const body = el("tbody", {}, rows);
  const table = el("table", { class: "bars" },
    el("thead", { class: "visually-hidden" }, el("tr", {}, el("th", {}, "name"), el("td", {}), part.series.map((series) => el("th", {}, series.name || "value")), part.notes.length ? el("td", {}) : null)), body);
  const value = (place) => part.series[0].values[place] ?? -1;
  const difference = (place) => Math.abs((part.series[1].values[place] ?? 0) - value(place));
  const orders = {
    given: () => 0,
    value: (a, b) => value(b) - value(a),
    name: (a, b) => part.names[a].localeCompare(part.names[b]),
    difference: (a, b) => difference(b) - difference(a),
  };
  const sort = el("select", { "aria-label": "Order of the bars", onchange: () => body.replaceChildren(...part.names.map((_, place) => place).sort(orders[sort.value]).map((place) => rows[place])) },
    el("option", { value: "given" }, "as given"), el("option", { value: "value" }, "largest first"), el("option", { value: "name" }, "by name"),
    part.series.length === 2 && !part.stacked ? el("option", { value: "difference" }, "largest difference first") : null);
  const legend = several || part.series[0].name
    ? swatchLegend(part.series.map((series, place) => [series.name, tint(series, place)]))
    : part.groups.length ? swatchLegend(part.groups.map((name, place) => [name, color(place)])) : null;
  return el("div", {}, el("div", { class: "row" }, el("div", { class: "grow" }, legend), part.names.length > 5 ? el("label", { class: "small soft" }, "Order", sort) : null), el("div", { class: "scroll" }, table));
};

const MARGIN = { left: 44, right: 12, top: 8, bottom: 38 };

function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough - 1e-12);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found;
}

const short = (value) => (Math.abs(value) >= 10000 ? `${+(value / 1000).toFixed(1)}k` : String(+value.toPrecision(6)));

function axes(part, width, height, [x0, x1], [y0, y1]) {
  const x = (value) => MARGIN.left + ((value - x0) / (x1 - x0 || 1)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => height - MARGIN.bottom - ((value - y0) / (y1 - y0 || 1)) * (height - MARGIN.top - MARGIN.bottom);
  const root = svg("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const value of ticks(y0, y1)) {
    root.append(svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of ticks(x0, x1, Math.max(2, Math.floor(width / 90))))
    root.append(svg("text", { x: x(value), y: height - MARGIN.bottom + 16, "text-anchor": "middle" }, short(value)));
  root.append(svg("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, "text-anchor": "middle" }, part.x_name),
    svg("text", { x: 10, y: (height - MARGIN.bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 10 ${(height - MARGIN.bottom) / 2})` }, part.y_name));
  return { root, x, y };
}

// Curves over two axes; of many, one is chosen by the list or by the pointer.
draw.Lines = (part) => {
  const many = part.lines.length > 6;
  let chosen = -1;
  const range = (given, values) => given || [Math.min(...values), Math.max(...values)];
  const xRange = range(part.x_range, part.lines.flatMap((line) => line.x));
  const yRange = range(part.y_range, part.lines.flatMap((line) => line.y.filter((value) => value !== null)));
  const said = el("p", { class: "small soft", "aria-live": "polite" });
  let curves = [];
  const choose = (place) => {
    chosen = place;
    curves.forEach((curve, each) => curve.classList.toggle("chosen", each === place));
    if (place >= 0) curves[place].parentNode.append(curves[place]);
    if (many) said.textContent = place >= 0 ? part.lines[place].name : "All curves; choose one to see it alone.";
    if (select) select.value = String(place);
  };
  const select = many
    ? el("select", { "aria-label": "Curve", onchange: () => choose(Number(select.value)) }, el("option", { value: "-1" }, "all curves"), part.lines.map((line, place) => el("option", { value: String(place) }, line.name)))
    : null;
  const chart = drawnToWidth((width) => {
    const height = Math.min(360, Math.max(220, width * 0.7));
    const { root, x, y } = axes(part, width, height, xRange, yRange);
    root.setAttribute("aria-label", `${part.y_name} over ${part.x_name}: ${part.lines.map((line) => line.name).slice(0, 12).join(", ")}`);
    if (part.diagonal) root.append(svg("line", { class: "diagonal", x1: x(xRange[0]), y1: y(yRange[0]), x2: x(xRange[1]), y2: y(yRange[1]) }));
    curves = part.lines.map((line, place) => {
      let path = "";
      let pen = "M";
      line.x.forEach((value, each) => {
        if (line.y[each] === null) return (pen = "M");
        path += `${pen}${x(value).toFixed(1)} ${y(line.y[each]).toFixed(1)}`;
        pen = "L";
      });
      const curve = svg("path", { class: `curve${many ? " many" : ""}`, d: path, swatch: line.tint >= 0 ? color(line.tint) : color(many ? 0 : place) }, svg("title", {}, line.name));
      curve.addEventListener("pointerenter", () => many && choose(place));
      root.append(curve);
      if (part.points) line.x.forEach((value, each) => line.y[each] !== null && root.append(svg("circle", { class: "point", cx: x(value), cy: y(line.y[each]), r: 3.5, swatch: color(line.tint >= 0 ? line.tint : place) }, svg("title", {}, `${line.name}: ${number(value)}, ${number(line.y[each])}`))));
      return curve;
    });
    choose(chosen);
    return root;
  });
  const legend = many ? el("div", { class: "row" }, select, said) : part.lines.length > 1 ? swatchLegend(part.lines.map((line, place) => [line.name, color(line.tint >= 0 ? line.tint : place)])) : null;
  const values = el("table", {}, el("thead", {}, el("tr", {}, ["", part.x_name, part.y_name].map((name) => el("th", {}, name)))));
  const details = el("details", { class: "small", ontoggle: () => {
    if (!details.open || values.tBodies.length) return;
    values.append(el("tbody", {}, part.lines.flatMap((line) => {
      const step = Math.max(1, Math.ceil(line.x.length / 12));
      return line.x.map((value, each) => [value, line.y[each]]).filter((_, each) => each % step === 0)
        .map(([x, y]) => el("tr", {}, el("th", { scope: "row" }, line.name), el("td", { class: "number" }, number(x)), el("td", { class: "number" }, number(y))));
    })));
  } }, el("summary", { class: "soft" }, "As figures"), el("div", { class: "scroll tall" }, values));
  return el("div", {}, legend, chart, details);
};

// Counts between edges, as columns.
draw.Histogram = (part) => {
  const largest = Math.max(1, ...part.counts);
  const about = part.counts.map((count, place) => `${short(part.edges[place])} to ${short(part.edges[place + 1])}: ${number(count, 0)}`);
  return drawnToWidth((width) => {
    const height = 220;
    const { root, x, y } = axes(part, width, height, [part.edges[0], part.edges[part.edges.length - 1]], [0, largest]);
    root.setAttribute("aria-label", `${part.y_name} by ${part.x_name}. ${about.join("; ")}`);
    part.counts.forEach((count, place) => {
      const left = x(part.edges[place]);
      const top = y(count);
      root.append(svg("rect", { class: "column", x: left + 0.5, y: top, width: Math.max(1, x(part.edges[place + 1]) - left - 1), height: Math.max(0, y(0) - top) }, svg("title", {}, about[place])));
    });
    return root;
  });
};

// A matrix as a table whose cells are the darker the larger their share is.
draw.Matrix = (part) => {
  const largest = Math.max(1e-9, part.largest || 0, ...(part.largest ? [] : part.values.flat().filter((value) => value !== null)));
  const head = el("tr", {}, el("th", { class: "small" }, `${part.row_name} ↓ ${part.column_name} →`), part.columns.map((name) => el("th", { scope: "col" }, el("span", {}, name))));
  const rows = part.rows.map((name, row) =>
    el("tr", {}, el("th", { scope: "row" }, name), part.columns.map((column, place) => {
      const value = part.values[row][place];
      const share = value === null ? 0 : Math.min(1, value / largest);
      const cell = el("td", { class: `${share > 0.55 ? "deep" : ""}${part.rows[row] === column ? " diagonal" : ""}`, title: `${name} → ${column}: ${number(value, part.digits)}` }, value ? number(value, part.digits) : "");
      cell.style.setProperty("--share", `${Math.round(share * 100)}%`);
      return cell;
    })));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${part.row_name} by ${part.column_name}` }, el("table", { class: "matrix" }, el("thead", {}, head), el("tbody", {}, rows)));
};
