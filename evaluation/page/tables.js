// A table that can be sorted and searched, and shows more rows on request.
"use strict";

const FIRST_ROWS = 100;

draw.Table = (part) => {
  let sorted = null; // [column, direction]
  let shown = FIRST_ROWS;
  const isNumber = part.columns.map((_, place) => part.rows.some((row) => typeof row[place] === "number") && part.rows.every((row) => row[place] === null || typeof row[place] === "number"));
  const digits = part.columns.map((_, place) => (part.rows.every((row) => row[place] === null || Number.isInteger(row[place])) ? 0 : part.digits));
  const text = part.rows.map((row) => row.join("\u0000").toLowerCase());
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => { shown *= 4; fill(); } });
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search the table", oninput: () => { shown = FIRST_ROWS; fill(); } });
  const heads = part.columns.map((name, place) =>
    el("th", { scope: "col", class: isNumber[place] ? "number" : "" }, el("button", { class: "plain", type: "button", onclick: () => {
      sorted = [place, sorted && sorted[0] === place ? -sorted[1] : isNumber[place] ? -1 : 1];
      heads.forEach((head, each) => each === place ? head.setAttribute("aria-sort", sorted[1] > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
      fill();
    } }, name)));
  function fill() {
    const wanted = search.value.toLowerCase();
    const places = part.rows.map((_, place) => place).filter((place) => text[place].includes(wanted));
    if (sorted) {
      const [column, direction] = sorted;
      const key = (place) => part.rows[place][column];
      places.sort((a, b) => direction * (isNumber[column] ? (key(a) ?? -Infinity) - (key(b) ?? -Infinity) : String(key(a)).localeCompare(String(key(b)), undefined, { numeric: true })));
    }
    body.replaceChildren(...places.slice(0, shown).map((place) => el("tr", {}, part.rows[place].map((value, column) =>
      el("td", { class: isNumber[column] ? "number" : "" }, isNumber[column] ? number(value, digits[column]) : String(value ?? ""))))));
    more.hidden = places.length <= shown;
    more.textContent = `Show more of ${places.length.toLocaleString("en-US")} rows`;
  }
  fill();
  return el("div", {}, part.rows.length > 12 ? el("div", { class: "row" }, search) : null,
    el("div", { class: `scroll${part.rows.length > 12 ? " tall" : ""}` }, el("table", {}, el("thead", {}, el("tr", {}, heads)), body)), more);
};
