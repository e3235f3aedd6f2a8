// An evaluation: a file of questions with their answers, asked in one way or two; a table, a chart, and what went wrong.
import { h, ask } from "./dom.js";
import { t, percent } from "./words.js";
import { send, follow, upload } from "./api.js";
import { on, emit } from "./state.js";

const section = h("section", { class: "evaluation", hidden: true, "aria-label": t("evaluate"), tabIndex: -1 });
let following = new AbortController();
export const evaluationPart = () => section;
const show = (shown) => {
  section.hidden = !shown;
  document.getElementById("turns").hidden = shown;
  document.querySelector(".composer").hidden = shown;
};
for (const what of ["conversation", "searching"]) on(what, () => { if (!section.hidden) { following.abort(); show(false); } });

export const evaluate = async () => {
  const file = h("input", { type: "file", accept: ".csv,.json,.jsonl,.gz", required: true, "aria-label": t("evaluate.file") });
  const limit = h("input", { type: "number", value: 20, min: 1, max: 100000, "aria-label": t("evaluate.limit") });
  const ways = [wayPart("notes", false), wayPart("", true)];
  const asked = await ask(t("evaluate"), [
    h("p", { class: "hint" }, t("evaluate.about")), h("label", {}, t("evaluate.file"), file), h("label", {}, t("evaluate.limit"), limit),
    h("label", {}, t("evaluate.way"), ways[0].part), h("label", {}, t("evaluate.other"), ways[1].part),
  ], t("evaluate.begin"), () => ({ file: file.files[0], limit: Number(limit.value) || 20, ways: ways.map((way) => way.value()).filter(Boolean) }), t("cancel"));
  if (!asked) return;
  begin(asked);
};
const wayPart = (chosen, optional) => {
  const choose = (values, name) => h("select", { "aria-label": name }, values.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  const strategy = choose([...(optional ? [["", t("evaluate.none")]] : []), ...["notes", "quotes", "direct", "extract"].map((each) => [each, t(`strategy.${each}`)])], t("strategy"));
  const retriever = choose(["hybrid", "bm25", "sparse", "dense"].map((each) => [each, t(`retriever.${each}`)]), t("retriever"));
  return { part: h("span", { class: "row" }, strategy, retriever), value: () => strategy.value && { strategy: strategy.value, retriever: retriever.value } };
};

const begin = async ({ file, limit, ways }) => {
  emit("show", "talk");
  const status = h("p", { class: "doing", role: "status" }, t("upload.sending", { share: percent(0) })), body = h("div", {}), questions = h("ol", { class: "asked-questions" });
  const stop = h("button", { type: "button", onclick: () => send("POST", "/evaluation/stop") }, t("stop"));
  const working = h("div", { class: "working" }, h("i", { class: "dot", "aria-hidden": "true" }), status, stop);
  section.replaceChildren(h("div", { class: "row" }, h("h2", {}, `${t("evaluate")}: ${file.name}`), h("span", { class: "grows" }), h("button", { type: "button", onclick: () => { following.abort(); show(false); } }, t("close"))), working, body, questions);
  show(true);
  section.focus();
  following.abort();
  following = new AbortController();
  const failed = (problem) => { working.remove(); body.append(h("p", { class: "problem", role: "alert" }, problem)); };
  try {
    const id = await upload(file, (share) => { status.textContent = t("upload.sending", { share: percent(share) }); });
    await send("POST", "/evaluation", { upload: id, limit, ways });
    await follow("/evaluation/events", (event) => {
      if (event.kind === "doing") status.textContent = t("evaluate.loading", { part: event.part, done: event.done, total: event.total });
      else if (event.kind === "question") { status.textContent = t("evaluate.progress", event); questions.append(questionPart(event)); }
      else if (event.kind === "result") { working.remove(); body.replaceChildren(...resultParts(event)); }
      else if (event.kind === "failed") failed(event.error);
    }, following.signal, (problem) => { status.textContent = problem.message; });
  } catch (problem) { failed(problem.message); }
};

const wayName = (row) => `${t(`strategy.${row.strategy}`)}, ${t(`retriever.${row.retriever}`)}`;
const figure = (value) => (value ? `${percent(value[0])} (${percent(value[1])}–${percent(value[2])})` : "–");
const resultParts = ({ rows, difference, complete }) => {
  const names = ["f1", "em", "cited", "answered"];
  const table = h("table", {}, h("caption", {}, t("evaluate.caption", { n: rows[0].n })), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("evaluate.way")), names.map((name) => h("th", { scope: "col", title: t(`measure.${name}.about`) }, t(`measure.${name}`))), h("th", { scope: "col" }, t("measure.seconds")))),
    h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, wayName(row)), names.map((name) => h("td", {}, figure(row.measures[name]))), h("td", {}, row.seconds === null ? "–" : t("seconds", { n: row.seconds }))))));
  const bars = h("div", { class: "bars", "aria-hidden": "true" }, rows.flatMap((row) => names.filter((name) => row.measures[name]).map((name) => barPart(`${t(`measure.${name}`)}${rows.length > 1 ? `, ${wayName(row)}` : ""}`, row.measures[name]))));
  const told = difference && h("p", {}, t(difference.interval[0] > 0 ? "evaluate.better" : difference.interval[1] < 0 ? "evaluate.worse" : "evaluate.level", { way: wayName(rows[1]), difference: signed(difference.difference), low: signed(difference.interval[0]), high: signed(difference.interval[1]) }));
  return [complete ? null : h("p", { class: "hint" }, t("evaluate.stopped")), h("div", { class: "scrolls", tabIndex: 0, role: "region", "aria-label": t("evaluate") }, table), told, bars, h("h3", {}, t("evaluate.questions"))].filter(Boolean);
};
const signed = (share) => `${share > 0 ? "+" : ""}${percent(share)}`;
const barPart = (name, [mean, low, high]) => {
  const bar = h("i", { class: "bar-fill" }), whisker = h("i", { class: "whisker" });
  bar.style.width = `${100 * mean}%`;
  Object.assign(whisker.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%` });
  return h("div", { class: "bar-row" }, h("span", {}, name), h("div", { class: "bar-track" }, bar, whisker), h("span", {}, percent(mean)));
};
const questionPart = (event) => {
  const right = event.answers.every((answer) => answer.f1 >= 0.5);
  return h("li", { class: right ? "right" : "wrong" }, h("details", { open: false }, h("summary", {}, h("span", { class: "verdict" }, t(right ? "evaluate.right" : "evaluate.wrong")), ` ${event.question}`),
    h("p", {}, t("evaluate.expected", { answers: event.expected.join(" / ") || t("evaluate.nothing") })),
    event.answers.map((answer) => h("p", {}, answer.error ? h("span", { class: "problem" }, answer.error) : answer.text || t("evaluate.no.answer"), h("small", {}, ` F1 ${percent(answer.f1 ?? 0)} `),
      answer.source ? h("button", { type: "button", class: "link", onclick: () => emit("open", answer.source, [answer.source]) }, `${answer.source.title}, ${answer.source.place}`) : answer.quote ? h("q", {}, answer.quote) : null))));
};
