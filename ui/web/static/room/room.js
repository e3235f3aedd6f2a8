// The room: its columns, which can be resized and on a phone are shown one at a time; its addresses; what is in its menu.
import { h, iconButton, openMenu, ask, tell } from "./dom.js";
import { t } from "./words.js";
import { get, send } from "./api.js";
import { state, on, emit, kept, keep } from "./state.js";
import { conversationPart, openConversation, exportMenu } from "./conversation.js";
import { composerPart } from "./composer.js";
import { sidePart, dropPart, watchDocuments, go } from "./side.js";
import { readingPart, clear } from "./reading.js";
import { evaluate, evaluationPart } from "./evaluation.js";
import { libraryPart } from "./libraries.js";
import { settings } from "./settings.js";
import { searchPart, resultsPart } from "./search.js";
import { conceptsPart, showMap } from "./concepts.js";

const build = (room) => {
  const side = sidePart(), reading = readingPart();
  const talk = h("section", { class: "talk", "aria-label": t("talk") }, resultsPart(), conceptsPart(), evaluationPart(), conversationPart(), composerPart());
  const bar = h("header", { class: "bar" },
    iconButton("side", t("side.toggle"), () => { room.classList.toggle("no-side"); keep("no-side", room.classList.contains("no-side")); }, { class: "quiet side-toggle" }),
    h("h1", {}, t("app")), libraryPart(), searchPart(), h("span", { class: "grows" }),
    iconButton("save", t("export"), (event) => state.conversation && exportMenu(event.currentTarget), { "aria-haspopup": "menu" }),
    iconButton("sun", t("theme"), (event) => themes(event.currentTarget), { "aria-haspopup": "menu" }),
    iconButton("menu", t("menu"), (event) => menu(event.currentTarget), { "aria-haspopup": "menu" }));
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": t("app") }, [["side", "documents.tab"], ["talk", "ask.tab"], ["reading", "source.tab"]].map(([pane, name]) =>
    h("button", { type: "button", role: "tab", "data-pane": pane, onclick: () => emit("show", pane) }, t(name))));
  room.replaceChildren(bar, h("div", { class: "columns" }, side, resizer(side, "side", 1), talk, resizer(reading, "reading", -1), reading), tabs,
    h("div", { id: "notices", role: "status", "aria-live": "polite" }), dropPart());
  room.classList.toggle("no-side", kept("no-side", false));
  for (const [part, name] of [[side, "side"], [reading, "reading"]]) if (kept(`width-${name}`, null)) part.style.flexBasis = kept(`width-${name}`);
  on("show", (pane) => {
    room.dataset.pane = pane;
    tabs.querySelectorAll("[role=tab]").forEach((tab) => tab.setAttribute("aria-selected", String(tab.dataset.pane === pane)));
  });
  emit("show", "talk");
  clear();
};

// A line between two columns: dragged, or moved with the arrow keys.
const resizer = (part, name, sign) => {
  const line = h("div", { class: "resizer", role: "separator", "aria-orientation": "vertical", "aria-label": t("resize"), tabIndex: 0, "aria-valuenow": 0, "aria-valuemin": 0, "aria-valuemax": 100 });
  const set = (width) => {
    const bounded = Math.min(innerWidth * 0.6, Math.max(180, width));
    part.style.flexBasis = `${bounded}px`;
    line.setAttribute("aria-valuenow", Math.round(100 * bounded / innerWidth));
    keep(`width-${name}`, part.style.flexBasis);
  };
  line.addEventListener("pointerdown", (event) => {
    const width = part.offsetWidth, from = event.clientX;
    line.setPointerCapture(event.pointerId);
    line.onpointermove = (moved) => set(width + sign * (moved.clientX - from));
    line.onpointerup = () => { line.onpointermove = null; };
  });
  line.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -24, ArrowRight: 24 }[event.key];
    if (step) { event.preventDefault(); set(part.offsetWidth + sign * step); }
  });
  return line;
};

const wanted = () => kept("theme", "system");
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.body.classList.toggle("dark", wanted() === "dark" || (wanted() === "system" && dark.matches));
dark.addEventListener("change", applyTheme);
const themes = (button) => openMenu(button, ["light", "dark", "system"].map((name) => ({ name: t(`theme.${name}`), chosen: wanted() === name, act: () => { keep("theme", name); applyTheme(); } })));

const menu = (button) => openMenu(button, [
  state.documents.some((each) => each.group === "judgments") && { name: t("precedents"), act: precedents },
  state.documents.length > 0 && { name: t("map"), act: showMap },
  { name: t("evaluate"), act: evaluate },
  { name: t("settings"), act: settings },
  { name: t("status"), act: status },
  document.querySelector("meta[name=glossator-login]") && { name: t("sign.out"), act: () => { const form = h("form", { method: "post", action: "/logout" }); document.body.append(form); form.submit(); } },
]);
const status = async () => {
  const found = await get("/status").catch((problem) => { tell(problem.message); return null; });
  if (found) tell(t("status.text", { ...found, memory: found.peak_memory_mb }), null, 15);
};
const precedents = async () => {
  const text = h("textarea", { rows: 10, "aria-label": t("precedents.text") }), before = h("input", { size: 12 });
  const field = h("select", {}, ["both", "facts", "law"].map((each) => h("option", { value: each }, t(`precedents.${each}`))));
  const parts = [h("label", {}, t("precedents.text"), text), h("label", {}, t("precedents.compare"), field), h("label", {}, t("precedents.before"), before)];
  const asked = await ask(t("precedents"), parts, t("precedents.find"), () => ({ text: text.value, field: field.value, before: before.value, filters: state.scope.filters }), t("cancel"));
  if (!asked) return;
  const pane = h("div", { class: "found-precedents" }, h("p", { class: "hint", role: "status" }, t("doing.searching")));
  emit("pane", t("precedents"), pane);
  try { pane.innerHTML = (await send("POST", "/precedents", asked)).html; } catch (problem) { pane.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message)); }
};

const route = async () => {
  const asked = new URLSearchParams(location.search);
  try { await openConversation(asked.get("c")); } catch (problem) { tell(problem.message); go(null); }
  if (asked.has("d")) openPlace(asked.get("d"), Number(asked.get("s")) || 0, Number(asked.get("e")) || 0).catch((problem) => tell(problem.message));
};
// What a citation in another program links to: "/?d=DOCUMENT&s=START&e=END" opens the document with these words marked.
const openPlace = async (id, start, end) => {
  if (end <= start) { emit("read", id); return; }
  const { first_page: page } = await get(`/documents/${encodeURIComponent(id)}/marks`, { start, end });
  const source = { number: 1, document: id, start, end, page, quote: "", title: "", place: "" };
  emit("open", source, [source]);
};
addEventListener("popstate", route);

addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") { event.preventDefault(); return; }
  if (event.reason?.status !== undefined) { event.preventDefault(); tell(event.reason.message); }
});

const start = () => {
  const room = document.getElementById("room");
  if (!room || room.dataset.built) return false;
  room.dataset.built = "";
  applyTheme();
  build(room);
  route();
  watchDocuments();
  return true;
};
if (!start()) {
  const watcher = new MutationObserver(() => { if (start()) watcher.disconnect(); });
  watcher.observe(document, { childList: true, subtree: true });
}
