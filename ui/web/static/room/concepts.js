// What the library is about: a map of its concepts over documents, years or the parts of one document; what is asked in
// vain; and concepts that count less or more for what is searched and asked.
import { h, iconButton, openMenu, tell } from "./dom.js";
import { t, percent } from "./words.js";
import { get } from "./api.js";
import { state, on, emit } from "./state.js";
import { submit, shortened } from "./conversation.js";

const section = h("section", { class: "concepts", hidden: true, "aria-label": t("map"), tabIndex: -1 });
let calls = 0;
export const conceptsPart = () => section;
const show = (shown) => {
  section.hidden = !shown;
  document.getElementById("turns").hidden = shown;
  document.querySelector(".composer").hidden = shown;
};
for (const what of ["conversation", "searching"]) on(what, () => { if (!section.hidden) show(false); });

// -- more and less of a concept: kept with the conversation, in state.scope

export const steer = (how, concept) => {
  const other = how === "mute" ? "boost" : "mute";
  const without = (list) => (list ?? []).filter((each) => each.id !== concept.id);
  state.scope = { ...state.scope, [how]: [...without(state.scope[how]), concept], [other]: without(state.scope[other]) };
  emit("scope");
  emit("steered");
};
export const unsteer = (concept) => {
  for (const how of ["mute", "boost"]) state.scope[how] = (state.scope[how] ?? []).filter((each) => each.id !== concept.id);
  emit("scope");
  emit("steered");
};
export const steering = (scope = state.scope) => ({ mute: (scope.mute ?? []).map((each) => each.id), boost: (scope.boost ?? []).map((each) => each.id) });

// Some concepts are one document, and are called like it: the documents have chips of their own.
export const isTitle = (label) => state.documents.some((each) => each.title === label);

const menuOf = (button, concept) => openMenu(button, [
  { name: t("concept.less"), about: t("concept.less.about"), act: () => steer("mute", concept) },
  { name: t("concept.more"), about: t("concept.more.about"), act: () => steer("boost", concept) },
  { name: t("concept.passages"), act: () => showMap().then(() => showPassages(concept)) },
]);
export const conceptChip = (concept) => h("button", { type: "button", class: "facet concept", "aria-haspopup": "menu", onclick: (event) => menuOf(event.currentTarget, concept) }, concept.label);
// The chips of what is muted and boosted; a click takes it back.
export const steeringChips = () => ["mute", "boost"].flatMap((how) => (state.scope[how] ?? []).map((concept) =>
  h("span", { class: `scope-chip ${how}` }, t(how === "mute" ? "concept.muted" : "concept.boosted", { label: concept.label }), iconButton("close", t("concept.undo", { label: concept.label }), () => unsteer(concept)))));

// -- the map

const list = h("div", { class: "concept-passages" });
export const showMap = async () => {
  emit("show", "talk");
  show(true);
  section.replaceChildren(h("p", { class: "hint", role: "status" }, t("doing.searching")));
  section.focus();
  await draw("document", "");
};

const draw = async (by, document) => {
  const mine = ++calls;
  let map, spots;
  try {
    [map, spots] = await Promise.all([get("/concepts/map", { by, document }), get("/concepts/blind-spots").catch(() => null)]);
  } catch (problem) { section.replaceChildren(head(), h("p", { class: "hint" }, problem.message)); return; }
  if (mine !== calls) return;
  list.replaceChildren();
  section.replaceChildren(head(), h("p", { class: "hint" }, t("map.about")), choices(map, by, document), plot(map, document), list, ...blindSpots(spots));
};
const head = () => h("div", { class: "row" }, h("h2", {}, t("map")), h("span", { class: "grows" }), h("button", { type: "button", onclick: () => show(false) }, t("close")));

const choices = (map, by, document) => {
  const axes = ["document", ...(map.dated ? ["year"] : [])].map((each) => [each, t(`map.by.${each}`)]);
  const axis = h("select", { "aria-label": t("map.by"), onchange: (event) => draw(event.target.value, "") }, axes.map(([value, name]) => h("option", { value, selected: by === value }, name)));
  const ready = state.documents.filter((each) => each.state === "ready");
  const one = h("select", { "aria-label": t("map.one"), onchange: (event) => (event.target.value ? draw("part", event.target.value) : draw("document", "")) },
    h("option", { value: "" }, t("map.all")), ready.map((each) => h("option", { value: each.id, selected: each.id === document }, shortened(each.title))));
  return h("div", { class: "facets" }, h("label", {}, `${t("map.by")} `, axis), ready.length > 1 || by === "part" ? h("label", {}, `${t("map.one")} `, one) : null);
};

// A dot a cell, as large as the share of the column's passages that have the concept. It is a table for who cannot see it.
const plot = (map, document) => {
  if (!map.rows.length) return h("p", { class: "hint" }, t("map.none"));
  const cell = (row, i) => {
    const count = row.counts[i], column = map.columns[i], share = column.passages ? count / column.passages : 0;
    if (!count) return h("td", {}, h("span", { class: "spoken" }, "0"));
    const dot = h("i", { class: "dot-of", "aria-hidden": "true" });
    dot.style.setProperty("--size", Math.sqrt(Math.min(1, share)).toFixed(3));
    const name = t("map.cell", { label: row.label, column: column.title, count, passages: column.passages });
    return h("td", {}, h("button", { type: "button", title: name, "aria-label": name, onclick: () => showPassages(row, whereOf(map, column, document)) }, dot));
  };
  const columns = map.columns.map((column) => h("th", { scope: "col", title: column.title }, h("span", {}, shortened(column.title))));
  const rows = map.rows.map((row) => h("tr", {}, h("th", { scope: "row" }, conceptChip({ id: row.id, label: row.label })), row.counts.map((_, i) => cell(row, i))));
  return h("div", { class: "scrolls", tabIndex: 0, role: "region", "aria-label": t("map") },
    h("table", { class: "concept-map" }, h("caption", { class: "spoken" }, t("map.about")), h("thead", {}, h("tr", {}, h("td", {}), columns)), h("tbody", {}, rows)),
    map.left_out ? h("p", { class: "hint" }, t("map.left.out", { n: map.left_out })) : null);
};
const whereOf = (map, column, document) => (map.by === "document" ? { document: column.key } : map.by === "year" ? { year: column.key } : { document, part: column.key });

const showPassages = async (concept, where = {}) => {
  const mine = ++calls;
  let found;
  try { found = await get(`/concepts/${encodeURIComponent(concept.id)}/passages`, where); } catch (problem) { tell(problem.message); return; }
  if (mine !== calls) return;
  list.replaceChildren(h("div", { class: "row" }, h("h3", { tabIndex: -1 }, t("map.passages", { n: found.passages.length, label: concept.label })), h("span", { class: "grows" }),
    h("button", { type: "button", onclick: () => { show(false); submit(t("map.question", { label: concept.label }), { boost: [concept.id] }); } }, t("map.tell"))),
    h("ol", {}, found.passages.map((hit) => h("li", {}, h("button", { type: "button", class: "hit", onclick: () => emit("open", hit, found.passages) },
      h("b", {}, hit.title), h("span", { class: "hint" }, ` ${hit.place}`), h("p", {}, hit.text))))));
  list.scrollIntoView({ block: "nearest", behavior: "smooth" });
  list.querySelector("h3").focus({ preventScroll: true });
};

const blindSpots = (spots) => {
  if (!spots || !(spots.asked_in_vain.length || spots.never_found.length || spots.about_nothing_here.length)) return [];
  const again = (question) => h("button", { type: "button", class: "link", onclick: () => { show(false); submit(question); } }, question);
  const parts = [h("h3", {}, t("spots")), h("p", { class: "hint" }, t("spots.about", { n: spots.questions }))];
  if (spots.asked_in_vain.length || spots.about_nothing_here.length) parts.push(h("h4", {}, t("spots.vain")), h("ul", {},
    spots.asked_in_vain.map((each) => h("li", {}, h("b", {}, each.label || "…"), ` ${t("spots.vain.row", { count: each.unanswered, asked: each.asked, passages: each.passages })}`, h("ul", {}, each.questions.map((one) => h("li", {}, again(one)))))),
    spots.about_nothing_here.map((one) => h("li", {}, again(one), h("small", {}, ` ${t("spots.nothing")}`)))));
  if (spots.never_found.length) parts.push(h("h4", {}, t("spots.unseen")), h("p", { class: "facets" }, spots.never_found.map((each) => conceptChip({ id: each.concept_id, label: each.label }))));
  return parts;
};
