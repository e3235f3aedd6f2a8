// The question box: what is typed is kept at once, what it is asked of stands in chips above it.
import { h, icon, iconButton, openMenu } from "./dom.js";
import { t } from "./words.js";
import { send, library } from "./api.js";
import { state, on, emit, titleOf, kept, keep } from "./state.js";
import { submit, stopAnswer, shortened } from "./conversation.js";
import { steeringChips } from "./concepts.js";

const box = h("textarea", { rows: 1, id: "question", "aria-label": t("question"), placeholder: t("question.placeholder"), autocomplete: "off" });
const chips = h("div", { class: "scope" }), problem = h("p", { class: "problem", role: "alert" });
const button = h("button", { type: "submit", class: "primary round", "aria-label": t("ask"), title: t("ask") }, icon("send"));
const options = h("div", { class: "options", hidden: true });
let busy = null;

export const composerPart = () => {
  const form = h("form", { class: "composer" }, problem, options, chips, h("div", { class: "row" },
    iconButton("plus", t("add"), () => emit("choose files")), box, button));
  form.addEventListener("submit", (event) => { event.preventDefault(); busy ? stop() : ask(); });
  return form;
};

const stop = () => { if (busy) stopAnswer(busy); };
const ask = async () => {
  const text = box.value;
  if (!text.trim()) { box.focus(); return; }
  problem.textContent = "";
  box.value = "";
  grow();
  if (!(await submit(text)) && !box.value) { box.value = text; grow(); }
  else keep(draftName(), null);
};
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!busy) ask();
});
const grow = () => { box.style.height = "auto"; box.style.height = `${Math.min(box.scrollHeight, innerHeight * 0.35)}px`; };

// What is typed: in the browser at once, with the conversation after a moment.
const draftName = () => `draft-${state.conversation?.id ?? `new${library}`}`;
let saving = null;
box.addEventListener("input", () => {
  grow();
  problem.textContent = "";
  keep(draftName(), box.value);
  clearTimeout(saving);
  const id = state.conversation?.id, draft = box.value;
  if (id) saving = setTimeout(() => send("PATCH", `/conversations/${id}`, { draft }).catch(() => {}), 800);
});

on("conversation", (conversation) => {
  box.value = kept(draftName(), null) ?? conversation?.draft ?? "";
  state.scope = { ...state.scope, mute: [], boost: [], ...(conversation?.scope?.documents ? conversation.scope : {}) };
  busy = conversation?.turns?.find((turn) => turn.state === "waiting" || turn.state === "running")?.id ?? null;
  show();
  grow();
  if (matchMedia("(min-width: 1000px)").matches) box.focus({ preventScroll: true });
});
on("busy", (id) => { busy = id; show(); });
on("idle", (id) => { if (busy === id) { busy = null; show(); } });
on("refused", (error) => { problem.textContent = error.message; box.focus(); });
on("documents", () => show());
on("scope", () => { show(); saveScope(); });
on("focus question", () => box.focus());

const saveScope = () => {
  const { id } = state.conversation ?? {};
  if (id) send("PATCH", `/conversations/${id}`, { scope: state.scope }).catch(() => {});
};

const show = () => {
  button.replaceChildren(icon(busy ? "stop" : "send"));
  button.setAttribute("aria-label", busy ? t("stop") : t("ask"));
  button.title = busy ? t("stop") : t("ask");
  const { documents, filters, way, strategy } = state.scope;
  const entries = documents.map((id) => removable(shortened(titleOf(id)), () => emit("choose", documents.filter((other) => other !== id))));
  for (const [name, value] of Object.entries(filters)) if (value) {
    const filter = state.filters.find((each) => each.name === name);
    const shown = filter?.values.find(([, known]) => known === value)?.[0] ?? value;
    entries.push(removable(`${filter?.label ?? name}: ${shown}`, () => setFilter(name, "")));
  }
  entries.push(...steeringChips());
  if (way !== "auto") entries.push(removable(`${t("way")} ${t(`way.${way}`)}`, () => { state.scope.way = "auto"; emit("scope"); }));
  if (strategy !== "notes") entries.push(removable(t(`strategy.${strategy}`), () => { state.scope.strategy = "notes"; emit("scope"); }));
  if (!documents.length && state.documents.length) entries.unshift(h("span", { class: "hint" }, t("scope.all")));
  const more = h("button", { type: "button", class: "quiet text", "aria-expanded": String(!options.hidden), onclick: () => { options.hidden = !options.hidden; show(); if (!options.hidden) showOptions(); } }, icon("plus"), t("scope.filters"));
  chips.replaceChildren(...(state.documents.length ? [...entries, more] : []));
};
const removable = (name, act) => h("span", { class: "scope-chip" }, name, iconButton("close", t("scope.remove", { title: name }), act));

const setFilter = (name, value) => { state.scope.filters = { ...state.scope.filters, [name]: value }; emit("scope"); };
const showOptions = () => {
  const { way, strategy, filters } = state.scope;
  const select = (label, values, chosen, act) => h("label", {}, label, h("select", { "aria-label": label, onchange: (event) => act(event.target.value) },
    values.map(([name, value]) => h("option", { value, selected: value === chosen }, name))));
  const ways = ["auto", "short", "explain", "list", "compare", "summary"].map((each) => [t(`way.${each}`), each]);
  const parts = [select(t("way"), ways, way, (value) => { state.scope.way = value; emit("scope"); })];
  parts.push(h("button", { type: "button", "aria-haspopup": "menu", onclick: (event) => openMenu(event.currentTarget, ["notes", "quotes", "direct", "extract"].map((each) => ({
    name: t(`strategy.${each}`), about: t(`strategy.${each}.about`), chosen: strategy === each, act: () => { state.scope.strategy = each; emit("scope"); showOptions(); },
  }))) }, `${t("strategy")}: ${t(`strategy.${strategy}`)}`));
  for (const filter of state.filters) {
    if (filter.typed) parts.push(h("label", {}, filter.label, h("input", { "aria-label": filter.label, value: filters[filter.name] ?? "", size: 10, placeholder: filter.values[0]?.[1], onchange: (event) => setFilter(filter.name, event.target.value.trim()) })));
    else parts.push(select(filter.label, [[t("any"), ""], ...filter.values], filters[filter.name] ?? "", (value) => setFilter(filter.name, value)));
  }
  options.replaceChildren(...parts);
};
