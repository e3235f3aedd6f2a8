// The reading pane: one frame for a PDF's page, a judgment, or an episode; marks, zoom, and finding words in it.
import { h, iconButton } from "./dom.js";
import { t } from "./words.js";
import { get } from "./api.js";
import { state, on, emit, kept, keep } from "./state.js";

const title = h("h2", { tabIndex: -1 }), place = h("p", { class: "place", role: "status" });
const frame = h("div", { class: "frame", tabIndex: 0, "aria-label": t("reading") });
const found = h("span", { class: "count", role: "status" });
const finder = h("input", { type: "search", placeholder: t("find.short"), "aria-label": t("find"), size: 12 });
let shown = null;  // {document, view, pages, page, start, end} of what is open
let sources = [], at = -1;  // those of the answer, and which is open
let places = [], atPlace = -1, zoom = kept("zoom", 1), calls = 0;
const cache = new Map();  // address -> promise of what the server says of it

const cached = (path, values) => {
  const key = path + JSON.stringify(values ?? {});
  if (!cache.has(key)) {
    cache.set(key, get(path, values).catch((problem) => { cache.delete(key); throw problem; }));
    if (cache.size > 120) cache.delete(cache.keys().next().value);
  }
  return cache.get(key);
};

export const readingPart = () => {
  finder.addEventListener("input", () => { clearTimeout(finder.late); finder.late = setTimeout(find, 250); });
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); toPlace(event.shiftKey ? -1 : 1); }
    if (event.key === "Escape") { finder.value = ""; find(); }
  });
  return h("aside", { class: "reading", "aria-label": t("reading") },
    h("header", {}, title, h("div", { class: "row tools" }, place,
      h("span", { class: "marks" }, iconButton("left", t("mark.before"), () => toSource(-1)), iconButton("right", t("mark.next"), () => toSource(1))),
      h("span", { class: "pages" }, iconButton("left", t("page.before"), () => toPage(-1)), numberBox, iconButton("right", t("page.next"), () => toPage(1))),
      h("span", { class: "zooms" }, iconButton("out", t("zoom.out"), () => zoomBy(1 / 1.2)), iconButton("in", t("zoom.in"), () => zoomBy(1.2))),
      h("span", { class: "finds" }, finder, found, iconButton("left", t("find.before"), () => toPlace(-1)), iconButton("right", t("find.next"), () => toPlace(1))),
      iconButton("close", t("close"), () => { clear(); emit("show", "talk"); }))),
    frame);
};
const numberBox = h("input", { class: "number", inputMode: "numeric", "aria-label": t("page"), size: 4, onchange: () => { const page = Number(numberBox.value); if (page >= 1 && page <= shown?.pages) showPage(page); else numberBox.value = shown?.page ?? ""; } });

export const clear = () => {
  shown = null;
  sources = [];
  title.textContent = t("reading");
  place.textContent = "";
  frame.replaceChildren(h("p", { class: "hint empty" }, t("reading.empty")));
  tools();
};

const tools = () => {
  const part = frame.parentElement;
  if (!part) return;
  part.querySelector(".marks").hidden = sources.length < 2;
  part.querySelector(".pages").hidden = shown?.view !== "pages" || shown.pages < 2;
  part.querySelector(".zooms").hidden = !shown;
  part.querySelector(".finds").hidden = !shown || !shown.document;
};

// A source of an answer; `quietly` opens it beside the answer without taking the reader there on a phone.
on("open", async (source, all, how = {}) => {
  sources = all;
  at = all.findIndex((each) => each === source || (each.document === source.document && each.start === source.start && each.end === source.end));
  document.querySelectorAll(".chip[aria-current]").forEach((each) => each.removeAttribute("aria-current"));
  if (!how.quietly) emit("show", "reading");
  await open(source.document, source.start, source.end, source, !how.quietly);
});
on("read", (id) => { sources = []; at = -1; emit("show", "reading"); open(id, 0, 0, null, true); });
on("peek", (id) => { if (id && !shown && !calls && matchMedia("(min-width: 1000px)").matches) { sources = []; open(id, 0, 0, null, false); } });
on("prefetch", (many) => many.slice(0, 6).forEach(async (source) => {
  try {
    const { view } = await cached(`/documents/${source.document}`);
    if (view !== "pages") return;
    cached(`/documents/${source.document}/marks`, { start: source.start, end: source.end });
    const { picture } = await cached(`/documents/${source.document}/pages/${source.page}`);
    if (picture) new Image().src = picture;
  } catch { /* it is said where it is opened */ }
}));
on("pane", (name, part) => {
  calls++;
  shown = { view: "pane" };
  sources = [];
  title.textContent = name;
  place.textContent = "";
  frame.replaceChildren(part);
  tools();
  emit("show", "reading");
  title.focus();
});

const toSource = (by) => {
  if (!sources.length) return;
  at = (at + by + sources.length) % sources.length;
  open(sources[at].document, sources[at].start, sources[at].end, sources[at], true);
};

const open = async (id, start, end, source, play) => {
  const mine = ++calls;
  try {
    const about = await cached(`/documents/${id}`);
    if (mine !== calls) return;
    if (shown?.document !== id) { finder.value = ""; places = []; found.textContent = ""; }
    title.textContent = about.title;
    title.title = about.title;
    shown = { document: id, view: about.view, pages: about.pages, page: source?.page ?? 1, start, end };
    tools();
    if (about.view === "pages") await showPage(source?.page ?? 1, mine);
    else await showView(source, play, mine);
  } catch (problem) {
    if (mine === calls) frame.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
  }
};

// -- pages

const toPage = (by) => { if (shown?.view === "pages") showPage(Math.min(shown.pages, Math.max(1, shown.page + by))); };
const showPage = async (number, mine = ++calls) => {
  const { document: id, start, end } = shown;
  const [page, marks] = await Promise.all([
    cached(`/documents/${id}/pages/${number}`),
    end > start ? cached(`/documents/${id}/marks`, { start, end }) : { lines: [], frames: [] },
  ]);
  if (mine !== calls) return;
  shown.page = number;
  numberBox.value = number;
  place.textContent = t("page.of", { page: number, pages: shown.pages });
  const sheet = page.picture ? drawn(page, marks) : written(page, start, end);
  frame.replaceChildren(sheet);
  const mark = sheet.querySelector(".mark, mark");
  if (mark) mark.scrollIntoView({ block: "center" }); else frame.scrollTop = 0;
};

// The picture, over it the marks, and over these the text, which can be selected.
const drawn = (page, marks) => {
  const sheet = h("figure", { class: "sheet" }), text = h("div", { class: "letters" });
  sheet.style.width = `${100 * zoom}%`;
  sheet.style.aspectRatio = `${page.width} / ${page.height}`;
  sheet.append(h("img", { src: page.picture, alt: t("page.picture", { title: page.title, page: page.number }), draggable: false }));
  const put = (part, [left, bottom, right, top]) => {
    Object.assign(part.style, { left: `${100 * left / page.width}%`, top: `${100 * (1 - top / page.height)}%`, width: `${100 * (right - left) / page.width}%`, height: `${100 * (top - bottom) / page.height}%` });
    return part;
  };
  for (const [number, box] of marks.frames) if (number === page.number) sheet.append(put(h("i", { class: "framed" }), box));
  for (const [number, box] of marks.lines) if (number === page.number) sheet.append(put(h("i", { class: "mark" }), box));
  for (const line of page.lines) text.append(put(h("span", { "data-start": line.start }, line.text), line.box), h("br"));
  sheet.append(text);
  requestAnimationFrame(() => fit(text));
  return sheet;
};
// Each line's letters are stretched to its rectangle, so that what is selected is what is seen.
const fit = (text) => {
  const height = text.clientHeight;
  if (!height) return;
  const spans = [...text.querySelectorAll("span")];
  spans.forEach((span) => { span.style.fontSize = `${parseFloat(span.style.height) / 100 * height * 0.85}px`; });
  const widths = spans.map((span) => [span.scrollWidth, span.clientWidth]);
  spans.forEach((span, i) => { span.style.transform = `scaleX(${widths[i][0] ? widths[i][1] / widths[i][0] : 1})`; });
};
new ResizeObserver(() => { const text = frame.querySelector(".letters"); if (text) fit(text); }).observe(frame);

const written = (page, start, end) => {
  const [a, b] = [start, end].map((offset) => Math.min(Math.max(offset, page.start), page.end) - page.start);
  // offsets count code points
  const points = [...page.text], cut = (from, to) => points.slice(from, to).join("");
  return h("div", { class: "written" }, page.why ? h("p", { class: "hint" }, t("no.picture", { why: page.why })) : null,
    h("pre", {}, cut(0, a), b > a ? h("mark", {}, cut(a, b)) : null, cut(b)));
};

const zoomBy = (factor) => {
  zoom = Math.min(4, Math.max(0.4, zoom * factor));
  keep("zoom", zoom);
  const sheet = frame.querySelector(".sheet");
  if (sheet) { sheet.style.width = `${100 * zoom}%`; fit(sheet.querySelector(".letters")); } else frame.style.fontSize = `${zoom}em`;
};

// -- judgments and episodes

const showView = async (source, play, mine) => {
  const { document: id, start, end } = shown;
  const filters = Object.values(state.scope.filters).some(Boolean) ? JSON.stringify(state.scope.filters) : "";
  const { html } = await get(`/documents/${id}/view`, { start, end, place: source?.paragraph, play: Boolean(play && source?.seconds != null), filters });
  if (mine !== calls) return;
  place.textContent = source?.place ?? "";
  frame.innerHTML = html;  // made by our own templates, which escape every value
  frame.style.fontSize = `${zoom}em`;
  if (shown.view !== "text") return;
  const mark = frame.querySelector("mark");
  if (mark) mark.scrollIntoView({ block: "center" }); else frame.scrollTop = 0;
  frame.querySelectorAll("[data-at]").forEach((button) => button.addEventListener("click", () => {
    const at = Number(button.dataset.at);
    sources = [];
    open(id, at, at, null, false);
  }));
};
addEventListener("glossator:case", (event) => {  // a case that a judgment cites
  const { id, place: where } = event.detail;
  const offsets = /^(\d+):(\d+)$/.exec(where);
  sources = [];
  open(id, Number(offsets?.[1] ?? 0), Number(offsets?.[2] ?? 0), { document: id, page: 1, place: "", seconds: null, paragraph: offsets || where === "-" ? "" : where }, false);
});

// -- finding words

const find = async () => {
  const q = finder.value.trim(), id = shown?.document;
  places = [];
  atPlace = -1;
  found.textContent = "";
  if (!q || !id) return;
  const reply = await get(`/documents/${id}/find`, { q }).catch(() => ({ found: [] }));
  if (finder.value.trim() !== q || shown?.document !== id) return;
  places = reply.found;
  if (places.length) toPlace(1); else found.textContent = t("find.none");
};
const toPlace = (by) => {
  if (!places.length) { if (finder.value.trim()) find(); return; }
  atPlace = (atPlace + by + places.length) % places.length;
  const { start, end, page } = places[atPlace];
  found.textContent = t("find.count", { at: atPlace + 1, n: places.length }).replace("{n}", places.length);
  Object.assign(shown, { start, end });
  if (shown.view === "pages") showPage(page); else showView({ page, place: "", seconds: null }, false, ++calls);
};
