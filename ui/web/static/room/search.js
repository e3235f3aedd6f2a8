// Search without a reader: results as one types, by document and kind, each with why it came up.
import { h, icon } from "./dom.js";
import { t } from "./words.js";
import { get } from "./api.js";
import { state, on, emit } from "./state.js";
import { submit, shortened } from "./conversation.js";
import { conceptChip, isTitle, steering, steeringChips } from "./concepts.js";

const box = h("input", { type: "search", id: "search", placeholder: t("search"), "aria-label": t("search"), title: t("search.hint"), autocomplete: "off" });
const results = h("section", { class: "results", hidden: true, "aria-label": t("search.results") });
let calls = 0, only = null, narrowed = {}, abort = new AbortController();

export const searchPart = () => {
  const form = h("form", { class: "search", role: "search" }, icon("search"), box);
  form.addEventListener("submit", (event) => { event.preventDefault(); results.querySelector(".hit")?.focus(); });
  box.addEventListener("input", () => { only = null; clearTimeout(box.late); box.late = setTimeout(search, 120); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { box.value = ""; search(); box.blur(); }
    if (event.key === "ArrowDown") { event.preventDefault(); results.querySelector(".hit")?.focus(); }
  });
  addEventListener("keydown", (event) => {
    const active = document.activeElement, empty = active?.id === "question" && !active.value;
    if (event.key !== "/" || event.ctrlKey || event.metaKey || (!empty && /^(INPUT|TEXTAREA|SELECT)$/.test(active?.tagName))) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
  results.addEventListener("keydown", (event) => {
    const hits = [...results.querySelectorAll(".hit")], now = hits.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { close(); box.focus(); }
    if (!step || now < 0) return;
    event.preventDefault();
    (hits[now + step] ?? box).focus();
  });
  return form;
};
export const resultsPart = () => results;
const close = () => { box.value = ""; search(); };
on("conversation", () => { if (!results.hidden) close(); });
on("steered", () => { if (!results.hidden) search(); });

const search = async () => {
  const q = box.value.trim(), mine = ++calls;
  abort.abort();
  abort = new AbortController();
  results.hidden = !q;
  document.getElementById("turns").hidden = Boolean(q);
  if (!q) return;
  emit("searching");
  emit("show", "talk");
  let reply;
  try {
    reply = await get("/search", { q, documents: only ? [only] : [], ...steering() }, { signal: abort.signal });
  } catch (problem) {
    if (mine === calls && problem.name !== "AbortError") results.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
    return;
  }
  if (mine !== calls) return;
  narrowed = {};
  show(reply, q);
};

// What is found, narrowed by what was chosen of its facets. Documents are searched anew: more of one may come up.
const FACETS = ["group", "kind", "section", "speaker", "year"];
const show = (reply, q) => {
  const facet = (name, count, chosen, act) => h("button", { type: "button", class: "facet", "aria-pressed": String(chosen), onclick: act }, name, h("small", {}, ` ${count}`));
  const documents = reply.facets.documents.length > 1 || only ? reply.facets.documents.map((each) => facet(shortened(each.title), each.count, only === each.id, () => { only = only === each.id ? null : each.id; search(); })) : [];
  const said = (name, value) => (name === "group" || name === "kind" ? t(`${name}.${value}`) : value);
  const choices = FACETS.filter((name) => reply.facets[name].length > 1).map((name) => h("select", { "aria-label": t(`facet.${name}`), onchange: (event) => { narrowed[name] = event.target.value; show(reply, q); results.querySelector(`[aria-label="${t(`facet.${name}`)}"]`)?.focus(); } },
    h("option", { value: "" }, `${t(`facet.${name}`)}: ${t("any")}`), reply.facets[name].map((each) => h("option", { value: each.name, selected: narrowed[name] === each.name }, `${said(name, each.name)} (${each.count})`))));
  const hits = reply.hits.filter((hit) => FACETS.every((name) => !narrowed[name] || hit[name] === narrowed[name]));
  results.replaceChildren(
    h("div", { class: "row" }, h("div", { role: "status" }, h("h2", {}, hits.length ? t("search.count", { n: hits.length }) : t("search.none"))),
      h("button", { type: "button", class: "quiet text", onclick: () => { const text = box.value; close(); submit(text); } }, t("search.ask"))),
    h("div", { class: "facets" }, documents, choices),
    concepts(reply.hits),
    h("ol", {}, hits.map((hit) => h("li", {}, h("button", { type: "button", class: "hit", onclick: () => emit("open", hit, hits) },
      h("b", {}, hit.title), h("span", { class: "hint" }, ` ${hit.place}`), moved(hit), h("p", {}, ...marked(hit.quote, q)), h("small", {}, hit.why))))));
};
// What the results are about: a choice of the concepts that most of them owe their meaning to; what is muted and boosted.
const concepts = (hits) => {
  const weights = new Map();
  for (const hit of hits) for (const each of hit.concepts) if (each.label && each.share > 0 && !isTitle(each.label)) {
    const known = weights.get(each.concept_id) ?? { id: each.concept_id, label: each.label, weight: 0 };
    known.weight += each.share;
    weights.set(each.concept_id, known);
  }
  const steered = steering(), taken = [...steered.mute, ...steered.boost];
  const best = [...weights.values()].filter((each) => !taken.includes(each.id)).sort((a, b) => b.weight - a.weight).slice(0, 8);
  const chips = steeringChips();
  if (!best.length && !chips.length) return null;
  return h("div", { class: "facets" }, chips, best.length ? h("small", { class: "hint" }, t("concepts.here")) : null, best.map(conceptChip));
};
const moved = (hit) => {
  if (hit.rank_before === undefined || hit.rank_before === hit.number) return null;
  return h("span", { class: "moved" }, hit.rank_before === null ? ` ${t("moved.new")}` : ` ${t(hit.rank_before > hit.number ? "moved.up" : "moved.down", { before: hit.rank_before })}`);
};
const marked = (text, q) => {
  const words = q.split(/\s+/).filter((word) => word.length > 2).map((word) => word.replace(/[^\p{L}\p{N}]/gu, "")).filter(Boolean);
  if (!words.length) return [text];
  return text.split(new RegExp(`(${words.join("|")})`, "giu")).map((part, i) => (i % 2 ? h("mark", {}, part) : part));
};
