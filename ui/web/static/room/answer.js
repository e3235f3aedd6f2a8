// An answer as it is shown: sentences with chips that name their places, what backs it, and what it rests on.
import { h, icon } from "./dom.js";
import { t, percent } from "./words.js";
import { emit } from "./state.js";
import { conceptChip, isTitle } from "./concepts.js";

// A chip that opens its source; its quote is shown on hover and focus, and read out with its name.
export const chip = (source, sources, label) => {
  const quote = source.quote.length > 300 ? `${source.quote.slice(0, 299)}…` : source.quote;
  const name = t("source", { number: source.number, title: source.title, place: source.place });
  return h("button", {
    type: "button", class: "chip", "aria-label": `${name}: ${quote}`, "data-number": source.number,
    onclick: () => emit("open", source, sources),
  }, label ?? `${source.number} ${source.short}`, h("span", { class: "card", "aria-hidden": "true" }, h("b", {}, `${source.title}, ${source.place}`), ` “${quote}”`));
};

export const answerView = (answer) => {
  const box = h("div", { class: "answer", tabIndex: 0 });
  let list = null;
  for (const line of answer.lines) {
    const parent = line.item ? (list ??= h("ul")) : box;
    if (line.item && !list.isConnected && list.parentElement !== box) box.append(list);
    if (!line.item) list = null;
    const part = h(line.item ? "li" : "p");
    for (const run of line.runs) {
      part.append(run.unsupported ? h("span", { class: "unsupported" }, run.text, h("small", {}, ` (${t("unsupported")})`)) : document.createTextNode(run.text));
      for (const number of run.cites) {
        const source = answer.citations[number - 1];
        if (source) part.append(" ", chip(source, answer.citations));
      }
    }
    parent.append(part);
  }
  if (answer.lines.length === 1 && !answer.abstained) box.classList.add("phrase");
  if (answer.abstained) box.classList.add("abstained");
  return box;
};

export const backedView = (backed) => {
  if (!backed) return null;
  const of = t(`backed.${backed.of}`, { share: percent(backed.figure) });
  return h("span", { class: `backed ${backed.level}`, title: of }, h("i", { "aria-hidden": "true" }), t(`backed.${backed.level}`), h("small", {}, ` ${percent(backed.figure)}`), h("span", { class: "spoken" }, ` ${of}`));
};

const folded = (title, ...parts) => h("details", {}, h("summary", {}, title), ...parts);

export const restsView = (answer) => answer.rests_on.map((note) => folded(
  answer.style === "summary" ? t("rests.part", { query: note.query }) : t("rests"),
  h("ul", { class: "rests" }, note.sentences.map((runs) => h("li", {}, runs.map((run) => {
    const text = run.uncertain ? h("span", { class: "unsupported" }, run.text, h("small", {}, ` (${t("uncertain")})`)) : run.text;
    return run.key ? h("b", {}, text) : text;
  }))))));

export const reasonsView = (answer) => answer.reasons.length ? folded(t("why.pages"), h("ul", { class: "reasons" }, answer.reasons.map((hit) =>
  h("li", { class: hit.ignored ? "ignored" : "" }, placeLink(hit, answer.reasons), hit.ignored ? ` ${t("ignored", { why: hit.ignored })}: ` : " ", h("small", {}, hit.why))),
  conceptsOf(answer.reasons),
  answer.withheld.map((text) => h("li", { class: "ignored" }, t("withheld", { text }))))) : null;

// The concepts that these passages owe their meaning to, the first of each first: more of one, or less.
export const conceptsOf = (hits) => {
  const found = new Map(hits.flatMap((hit) => (hit.concepts ?? []).filter((concept) => !isTitle(concept.label)).slice(0, 3).map((concept) => [concept.id, concept])));
  return found.size ? h("li", { class: "facets" }, h("small", {}, `${t("concepts.here")} `), [...found.values()].slice(0, 8).map(conceptChip)) : null;
};

export const placeLink = (source, sources) => h("button", { type: "button", class: "link", onclick: () => emit("open", source, sources) }, `${source.title}, ${source.place}`);

export const nearestView = (answer) => answer.nearest.length ? h("div", { class: "nearest" }, h("h4", {}, t("nearest")), h("ul", {}, answer.nearest.map((hit) => h("li", {}, icon("file"), " ", placeLink(hit, answer.nearest))))) : null;

// What is copied: the text with its numbers, and below it the sources with place and quote.
export const plainText = (answer) => {
  const lines = answer.lines.map((line) => (line.item ? "- " : "") + line.runs.map((run) => run.text + run.cites.map((n) => ` [${n}]`).join("")).join(""));
  const sources = answer.citations.map((source) => `[${source.number}] ${source.title}, ${source.place}: “${source.quote}”`);
  return [...lines, ...(sources.length ? ["", ...sources] : [])].join("\n");
};
