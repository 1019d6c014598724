// Thumbnails with words; groups choose, a click enlarges.
"use strict";

const FIRST_PICTURES = 24;

draw.Gallery = (part) => {
  const groups = [...new Set(part.pictures.map((picture) => picture.group).filter(Boolean))];
  let chosen = null;
  let shown = FIRST_PICTURES;
  const image = el("img", { alt: "" });
  const words = el("div");
  const dialog = el("dialog", { "aria-label": "Picture", onclick: (event) => event.target === dialog && dialog.close() },
    image, words, el("div", { class: "row" },
      el("button", { type: "button", onclick: () => step(-1) }, "← Previous"), el("button", { type: "button", onclick: () => step(1) }, "Next →"),
      el("span", { class: "grow" }), el("button", { type: "button", class: "strong", onclick: () => dialog.close() }, "Close")));
  let open = 0;
  const visible = () => part.pictures.filter((picture) => chosen === null || picture.group === chosen);
  const show = (place) => {
    const among = visible();
    open = (place + among.length) % among.length;
    const picture = among[open];
    image.hidden = !picture.image;
    image.src = picture.image;
    image.alt = picture.alt || picture.title;
    words.replaceChildren(el("b", {}, picture.title), ...picture.lines.map((line) => el("p", { class: "small" }, line)));
    if (!dialog.open) dialog.showModal();
  };
  const step = (by) => show(open + by);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  const list = el("ul", { class: "gallery" });
  const more = el("button", { type: "button", onclick: () => { shown *= 2; fill(); } });
  function fill() {
    const among = visible();
    list.replaceChildren(...among.slice(0, shown).map((picture, place) =>
      el("li", {}, el("button", { type: "button", class: "plain tile", onclick: () => show(place) },
        picture.image ? el("img", { src: picture.image, alt: picture.alt || "", loading: "lazy" }) : null,
        el("span", { class: "words" }, el("b", {}, picture.title), picture.lines.map((line) => el("span", { class: "soft" }, line, el("br"))))))));
    more.hidden = among.length <= shown;
    more.textContent = `Show more of ${among.length} pictures`;
  }
  const chips = [null, ...groups].map((group) =>
    el("button", { type: "button", class: "chip", "aria-pressed": String(group === null), onclick: (event) => {
      chosen = group;
      shown = FIRST_PICTURES;
      chips.forEach((chip) => chip.setAttribute("aria-pressed", String(chip === event.currentTarget)));
      fill();
    } }, group === null ? `all (${part.pictures.length})` : `${group} (${part.pictures.filter((picture) => picture.group === group).length})`));
  fill();
  return el("div", {}, groups.length > 1 ? el("div", { class: "chips", role: "group", "aria-label": "Kinds of pictures" }, chips) : null, list, more, dialog);
};
