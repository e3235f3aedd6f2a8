// Search without a reader: results as one types, by document and kind, each with why it came up.
import { h, icon } from "./dom.js";
import { t } from "./words.js";
import { get } from "./api.js";
import { state, on, emit } from "./state.js";
import { submit, shortened } from "./conversation.js";

const box = h("input", { type: "search", id: "search", placeholder: t("search"), "aria-label": t("search"), title: t("search.hint"), autocomplete: "off" });
const results = h("section", { class: "results", hidden: true, "aria-label": t("search.results") });
let calls = 0, only = null, abort = new AbortController();

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
    reply = await get("/search", { q, documents: only ? [only] : [] }, { signal: abort.signal });
  } catch (problem) {
    if (mine === calls && problem.name !== "AbortError") results.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
    return;
  }
  if (mine !== calls) return;
  const facet = (name, count, chosen, act) => h("button", { type: "button", class: "facet", "aria-pressed": String(chosen), onclick: act }, name, h("small", {}, ` ${count}`));
  const facets = reply.facets.documents.length > 1 || only ? reply.facets.documents.map((each) => facet(shortened(each.title), each.count, only === each.id, () => { only = only === each.id ? null : each.id; search(); })) : [];
  results.replaceChildren(
    h("div", { class: "row" }, h("div", { role: "status" }, h("h2", {}, reply.hits.length ? t("search.count", { n: reply.hits.length }) : t("search.none"))),
      h("button", { type: "button", class: "quiet text", onclick: () => { const text = box.value; close(); submit(text); } }, t("search.ask"))),
    h("div", { class: "facets" }, facets),
    h("ol", {}, reply.hits.map((hit) => h("li", {}, h("button", { type: "button", class: "hit", onclick: () => emit("open", hit, reply.hits) },
      h("b", {}, hit.title), h("span", { class: "hint" }, ` ${hit.place}`), h("p", {}, ...marked(hit.quote, q)), h("small", {}, hit.why))))));
};
const marked = (text, q) => {
  const words = q.split(/\s+/).filter((word) => word.length > 2).map((word) => word.replace(/[^\p{L}\p{N}]/gu, "")).filter(Boolean);
  if (!words.length) return [text];
  return text.split(new RegExp(`(${words.join("|")})`, "giu")).map((part, i) => (i % 2 ? h("mark", {}, part) : part));
};
