// The conversation in the middle: its questions, their answers as they are made, and what can be done with each.
import { h, icon, iconButton, tell, ask, openMenu } from "./dom.js";
import { t, percent, duration } from "./words.js";
import { get, send, follow, address, pageAddress } from "./api.js";
import { state, on, emit } from "./state.js";
import { steering } from "./concepts.js";
import { answerView, backedView, restsView, reasonsView, nearestView, plainText, chip, placeLink } from "./answer.js";

const turns = h("div", { class: "turns", id: "turns" });
let opened = 0;  // counts the conversations that were opened: what comes late for another one is left
let following = new AbortController();

export const conversationPart = () => turns;

export const openConversation = async (id) => {
  const mine = ++opened;
  following.abort();
  following = new AbortController();
  if (!id) {
    state.conversation = null;
    emit("conversation", null);
    await showEmpty(mine);
    return;
  }
  const found = await get(`/conversations/${id}`);
  if (mine !== opened) return;
  state.conversation = found;
  const earlier = found.turns.slice(0, -SHOWN);
  turns.replaceChildren(...found.turns.slice(-SHOWN).map(turnPart));
  if (earlier.length) turns.prepend(earlierPart(earlier));
  if (!found.turns.length) await showEmpty(mine);
  emit("conversation", found);
  turns.scrollTop = turns.scrollHeight;
  const last = found.turns.at(-1)?.answer;
  if (last?.citations.length) emit("open", last.citations[0], last.citations, { quietly: true });
};

// Of a long conversation the last questions are shown at once, the others on demand: the page stays as quick as before.
const SHOWN = 30;
const earlierPart = (earlier) => {
  const button = h("button", { type: "button", class: "earlier", onclick: () => {
    const below = turns.scrollHeight - turns.scrollTop;
    button.replaceWith(...earlier.map(turnPart));
    turns.scrollTop = turns.scrollHeight - below;
  } }, t("earlier", { n: earlier.length }));
  return button;
};

const showEmpty = async (mine) => {
  const box = h("div", { class: "empty" }, h("h2", {}, state.documents.length ? t("empty.title") : t("empty.none")));
  turns.replaceChildren(box);
  if (!state.documents.length) return;
  const ready = state.documents.filter((each) => each.state === "ready");
  emit("peek", (ready.find((each) => each.group === "documents") ?? ready[0])?.id);
  const { questions } = await get("/suggestions").catch(() => ({ questions: [] }));
  if (mine !== opened || !questions.length) return;
  box.append(h("p", { class: "hint" }, t("empty.try")), h("ul", { class: "examples" }, questions.map(({ question }) =>
    h("li", {}, h("button", { type: "button", onclick: () => submit(question) }, question)))));
};
on("documents", (first) => { if (first || turns.querySelector(".empty h2")) if (!state.conversation?.turns?.length) showEmpty(opened); });

// Ask: the first question makes the conversation. What was typed is kept until the server has it.
export const submit = async (question, more = {}) => {
  const { documents, filters, way, strategy } = state.scope;
  const { mute, boost } = steering();
  try {
    if (!state.conversation) {
      const mine = ++opened;
      const made = await send("POST", "/conversations");
      if (mine !== opened) return false;
      state.conversation = { ...made, turns: [] };
      history.pushState(null, "", pageAddress(made.id));
    }
    const turn = await send("POST", `/conversations/${state.conversation.id}/turns`, { question, documents, filters, way, strategy, mute, boost, ...more });
    turns.querySelector(".empty")?.remove();
    if (more.instead_of) [...turns.children].filter((part) => Number(part.dataset.number) >= more.instead_of).forEach((part) => part.remove());
    const part = turnPart(turn);
    turns.append(part);
    part.scrollIntoView({ block: "start", behavior: "smooth" });
    emit("asked", turn);
    return true;
  } catch (problem) {
    emit("refused", problem);
    return false;
  }
};

const turnPart = (turn) => {
  const part = h("article", { class: "turn", "data-id": turn.id, "data-number": turn.number, "aria-label": turn.question });
  const question = h("h3", { class: "question" }, turn.question);
  part.append(h("div", { class: "asked" }, question, iconButton("edit", t("edit"), () => edit(part, turn))), h("div", { class: "told" }));
  const told = part.lastChild;
  if (turn.state === "waiting" || turn.state === "running") watch(part, turn, told);
  else finish(part, turn, told);
  return part;
};

const edit = async (part, turn) => {
  const box = h("textarea", { rows: 3, value: turn.question, "aria-label": t("question") });
  const text = await ask(t("edit"), [box], t("edit.send"), () => box.value.trim(), t("cancel"));
  if (text) submit(text, { instead_of: turn.number, ...optionsOf(turn) });
};
const optionsOf = (turn) => ({ documents: turn.options.documents ?? [], filters: turn.options.filters ?? {}, way: turn.options.way ?? "auto", strategy: turn.options.strategy ?? "notes", mute: turn.options.mute ?? [], boost: turn.options.boost ?? [] });

// -- while it is answered

const watch = (part, turn, told) => {
  const status = h("p", { class: "doing", role: "status" }), clock = h("span", { class: "clock" });
  const found = h("div", { class: "found" }), marked = h("div", { class: "marked" }), draft = h("div", { class: "draft" });
  const words = document.createTextNode("");
  draft.append(words);
  const bar = h("div", { class: "working" }, h("i", { class: "dot", "aria-hidden": "true" }), status, clock);
  told.replaceChildren(marked, draft, bar, found);
  let began = performance.now(), about = null, understood = {}, ended = false;
  const tick = () => {
    if (ended) return;
    const passed = (performance.now() - began) / 1000;
    const left = about && about > passed ? ` · ${t("doing.about", { time: duration(about) })}` : "";
    clock.textContent = passed >= 1 ? `${duration(passed)}${left}` : "";
    setTimeout(tick, 500);
  };
  tick();
  emit("busy", turn.id);
  const handle = (event, seconds) => {
    if (seconds) began = Math.min(began, performance.now() - seconds * 1000);
    const bottom = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 80;
    if (event.kind === "doing") { about = event.about ?? about; status.textContent = doing(event); }
    else if (event.kind === "understood") understood = event;
    else if (event.kind === "evidence") {
      found.replaceChildren(h("small", {}, t("found.sources")), ...event.sources.map((source) => chip(source, event.sources)));
      emit("prefetch", event.sources.slice(0, 3));
    } else if (event.kind === "marked" && event.marked) {
      const { text, probability, source } = event.marked;
      marked.replaceChildren(h("b", {}, text), " ", placeLink({ ...source, number: 1 }, [source]), h("small", {}, ` ${t("marked", { share: percent(probability) })}`));
      emit("open", source, [source], { quietly: true });
    } else if (event.kind === "redraft") words.data = "";
    else if (event.kind === "draft") words.appendData(event.text);
    else if (event.kind === "unsaved") tell(t("unsaved", { error: event.error }));
    else if (event.kind === "answer") end({ state: "done", answer: event.answer, understood: event.understood, within: event.within });
    else if (event.kind === "failed") end({ state: "failed", error: event.error, understood: { ...understood, unclear: event.unclear } });
    else if (event.kind === "stopped") end({ state: "stopped" });
    if (bottom && event.kind === "draft") turns.scrollTop = turns.scrollHeight;
  };
  const end = (more) => {
    ended = true;
    Object.assign(turn, more);
    finish(part, turn, told, true);
    emit("idle", turn.id);
  };
  follow(`/turns/${turn.id}/events`, handle, following.signal, (problem) => { status.textContent = problem.message; })
    .then(async () => {
      if (ended || following.signal.aborted) return;
      end(await get(`/turns/${turn.id}`));  // it ended before this page watched, or with another server
    })
    .catch((problem) => end({ state: "failed", error: problem.message }));
};

const doing = (event) => {
  if (event.what === "reading") {
    const places = event.places.map(({ title, places }) => `${shortened(title)} ${places.join(", ")}`).join("; ");
    return t("doing.reading", { places });
  }
  if (event.what === "part") return t("doing.part", { ...event, done: event.done + 1 });
  return t(`doing.${event.what}`, event);
};
export const shortened = (title) => {
  const main = title.split(": ")[0];
  return main.length > 40 ? `${main.slice(0, 39).replace(/\s+\S*$/, "")} …` : main;
};

// -- when it is answered

const finish = (part, turn, told, now = false) => {
  const answer = turn.answer, shown = [];
  if (turn.state === "interrupted") shown.push(h("p", { class: "problem" }, t("interrupted")));
  else if (turn.state === "stopped") shown.push(h("p", { class: "hint" }, t("stopped")));
  else if (!answer) shown.push(h("p", { class: "problem", role: now ? "alert" : undefined }, turn.error || t("failed")));
  const standalone = turn.understood?.standalone;
  if (standalone && answer) shown.push(h("p", { class: "understood" }, t("understood", { question: standalone })));
  if (answer) {
    shown.push(answerView(answer));
    if (answer.second) shown.push(h("p", { class: "second" }, t("second", { text: answer.second.text, share: percent(answer.second.probability) }), " ", placeLink({ ...answer.second.source, number: 1 }, [answer.second.source])));
    shown.push(h("p", { class: "row meta" }, backedView(answer.backed), ...about(turn)));
    shown.push(...correctionsView(answer));
    shown.push(nearestView(answer), ...restsView(answer), reasonsView(answer));
  }
  shown.push(actions(part, turn, told));
  told.replaceChildren(...shown.filter(Boolean));
  told.closest(".turn").querySelector(".answer")?.setAttribute("aria-label", t("talk"));
  if (now && answer) {
    emit("answered", turn);
    if (answer.citations.length) emit("open", answer.citations[0], answer.citations, { quietly: true });
    emit("prefetch", answer.citations);
  }
};

const about = (turn) => {
  const parts = [];
  if (turn.answer.scope.length) {
    const why = turn.understood?.narrowed ? ` (${t(`only.${turn.understood.narrowed}`)})` : "";
    parts.push(h("small", {}, t("only", { titles: turn.answer.scope.map(shortened).join("; ") }) + why));
  }
  if (turn.within) parts.push(h("small", {}, t("within", { within: turn.within })));
  if (turn.answer.chosen) parts.push(h("small", {}, t("chosen", turn.answer.chosen)));
  return parts;
};

const actions = (part, turn, told) => {
  const row = h("div", { class: "row actions" }), again = { instead_of: turn.number, ...optionsOf(turn) };
  const answer = turn.answer;
  if (answer) {
    row.append(iconButton("copy", t("copy"), async () => { await copy(plainText(answer)); tell(t("copied"), null, 3); }));
    row.append(iconButton("up", t("good"), (event) => rate(turn, 1, event.currentTarget), { "aria-pressed": String(turn.rating === 1) }));
    row.append(iconButton("down", t("bad"), (event) => rate(turn, -1, event.currentTarget), { "aria-pressed": String(turn.rating === -1) }));
  }
  row.append(answer ? iconButton("again", t("again"), () => submit(turn.question, again)) : h("button", { type: "button", onclick: () => submit(turn.question, again) }, t("try.again")));
  if (answer?.explainable) row.append(h("button", { type: "button", class: "quiet text", onclick: () => explain(turn, told, "document") }, icon("why"), t("depends")));
  if (answer?.explainable) row.append(h("button", { type: "button", class: "quiet text", onclick: () => whatIf(turn) }, icon("edit"), t("what.if")));
  if (turn.understood?.standalone || turn.understood?.unclear) row.append(h("button", { type: "button", class: "quiet text", onclick: () => submit(turn.question, { ...again, standalone: turn.question }) }, t("as.typed")));
  if (turn.understood?.narrowed) row.append(h("button", { type: "button", class: "quiet text", onclick: () => submit(turn.question, { ...again, everywhere: true }) }, t("everywhere")));
  return row;
};

const copy = async (text) => {
  try { return await navigator.clipboard.writeText(text); } catch { /* not served securely, or not allowed */ }
  const box = h("textarea", { value: text });
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
};

// A bad answer: why, and what is right, which is kept as a correction and used from then on.
const rate = async (turn, rating, button) => {
  const rated = turn.rating === rating ? null : rating;
  let said = { reason: "", answer: "", source: 0 };
  if (rated === -1) {
    const reason = h("textarea", { rows: 2, "aria-label": t("bad.why"), maxLength: 2000 }), right = h("input", { "aria-label": t("correct.answer"), maxLength: 2000 });
    const sources = turn.answer?.citations ?? [];
    const source = h("select", { "aria-label": t("correct.source") }, h("option", { value: 0 }, t("correct.none")), sources.map((each, i) => h("option", { value: i + 1 }, `${i + 1} ${shortened(each.title)}, ${each.place}`)));
    const parts = [h("label", {}, t("correct.answer"), right, h("small", { class: "hint" }, t("correct.about"))), h("label", {}, t("bad.why"), reason)];
    if (sources.length) parts.push(h("label", {}, t("correct.source"), source));
    said = await ask(t("bad"), parts, t("save"), () => ({ reason: reason.value, answer: right.value.trim(), source: Number(source.value) }), t("cancel")) ?? said;
  }
  await send("PUT", `/turns/${turn.id}/rating`, { rating: rated, reason: said.reason }).catch((problem) => tell(problem.message));
  turn.rating = rated;
  button.parentElement.querySelectorAll("[aria-pressed]").forEach((each, i) => each.setAttribute("aria-pressed", String(rated === (i ? -1 : 1))));
  if (!said.answer) { if (rated === -1) tell(t("bad.thanks"), null, 4); return; }
  try {
    const kept = await send("POST", "/corrections", { turn: turn.id, answer: said.answer, reason: said.reason, source: said.source });
    tell(`${t("correct.kept")} ${kept.contradicts ? t("correct.contradicts") : ""}`, { name: t("undo"), act: () => send("DELETE", `/corrections/${kept.id}`).catch((problem) => tell(problem.message)) });
  } catch (problem) { tell(problem.message); }
};
// The corrections that an answer was given with, or is: always shown, and each can be taken back.
const correctionsView = (answer) => (answer.corrections ?? []).map((each) => {
  const row = h("p", { class: "correction" }, h("b", {}, each.question), ` ${each.text} `,
    h("button", { type: "button", class: "link", onclick: async () => { try { await send("DELETE", `/corrections/${each.id}`); row.remove(); } catch (problem) { tell(problem.message); } } }, t("remove")));
  return row;
});

// What the answer depended on: a heat map in the reading pane after each level, which can be used at once.
const explain = async (turn, told, level) => {
  try {
    await send("POST", `/turns/${turn.id}/explanation`, { level });
  } catch (problem) { tell(problem.message); return; }
  const pane = h("div", { class: "explanation" }), map = h("div", { class: "map" });
  const status = h("p", { class: "doing", role: "status" }, t("depends.minutes"));
  const ended = new AbortController();
  const cancel = h("button", { type: "button", onclick: () => send("POST", `/turns/${turn.id}/explanation/stop`) }, t("cancel"));
  pane.append(h("div", { class: "working" }, h("i", { class: "dot", "aria-hidden": "true" }), status, cancel), map);
  emit("pane", t("depends.title"), pane);
  const levels = ["document", "clause", "word"];
  let began = performance.now(), reached = null;
  await follow(`/turns/${turn.id}/explanation/events`, (event) => {
    if (event.kind === "doing") {
      const passed = (performance.now() - began) / 1000, left = event.done ? passed * (event.total / event.done - 1) : 0;
      status.textContent = doing(event) + (event.done > 1 && left > 1 ? ` · ${t("doing.left", { time: duration(left) })}` : "");
    } else if (event.kind === "explained") {
      began = performance.now();
      if (!event.estimate) reached = event.level;
      map.innerHTML = event.html;  // made by our own templates, which escape every value
    } else if (event.kind === "failed") status.textContent = event.error;
  }, ended.signal).catch((problem) => { status.textContent = problem.message; });
  pane.querySelector(".working").remove();
  const deeper = levels[levels.indexOf(reached) + 1];
  if (reached && deeper) pane.append(h("button", { type: "button", onclick: () => explain(turn, told, deeper) }, t("depends.deeper", { level: t(`depends.${deeper}`) })));
  if (!reached) pane.append(h("p", { class: "problem" }, status.textContent));
};

// What would change the answer: copies of the sources with one date, number or name changed, and what the reader says then.
const whatIf = async (turn) => {
  const pane = h("div", { class: "explanation" }), status = h("p", { class: "doing", role: "status" }, t("what.if.begin"));
  const told = h("div", { class: "what-if" });
  pane.append(h("div", { class: "working" }, h("i", { class: "dot", "aria-hidden": "true" }), status), told);
  emit("pane", t("what.if"), pane);
  const show = ({ changes, more }) => told.replaceChildren(...changes.map((change) => h("div", { class: `change ${change.flipped ? "flipped" : "stays"}` }, h("p", {}, h("b", {}, change.sentence)),
    h("q", {}, ...edited(change)), " ", h("button", { type: "button", class: "link", onclick: () => emit("open", { ...change, number: 1, quote: change.old, place: "", page: 0 }, []) }, change.title))), ...more.map((sentence) => h("p", {}, sentence)), h("p", { class: "hint" }, t("what.if.about")));
  if (turn.answer?.what_if) { show(turn.answer.what_if); pane.querySelector(".working").remove(); return; }
  try {
    await send("POST", `/turns/${turn.id}/what-if`);
    await follow(`/turns/${turn.id}/what-if/events`, (event) => {
      if (event.kind === "doing") status.textContent = doing(event);
      else if (event.kind === "changed") show(event.what_if);
      else if (event.kind === "failed") told.append(h("p", { class: "problem", role: "alert" }, event.error));
    }, new AbortController().signal);
  } catch (problem) { told.append(h("p", { class: "problem", role: "alert" }, problem.message)); }
  pane.querySelector(".working").remove();
};
const edited = (change) => change.after.split(change.new).flatMap((part, i) => (i ? [h("mark", {}, change.new), part] : [part]));

export const stopAnswer = (id) => send("POST", `/turns/${id}/stop`).catch((problem) => tell(problem.message));

export const exportMenu = (button) => openMenu(button, ["markdown", "json", "bibtex", "csl", "ris"].map((format) => ({
  name: t(`export.${format}`),
  act: () => h("a", { href: address(`/conversations/${state.conversation.id}/export?format=${format}`), download: "" }).click(),
})));
