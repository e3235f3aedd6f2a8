// The settings: who answers (with a test), how many passages are read, and from which likelihood on an answer is shown.
import { h, ask, tell } from "./dom.js";
import { t, language, chooseLanguage, duration } from "./words.js";
import { get, send } from "./api.js";

export const settings = async () => {
  const found = await get("/settings").catch((problem) => { tell(problem.message); return null; });
  if (!found) return;
  const { values, readers, changeable } = found, off = !changeable;
  const select = (options, chosen, name) => h("select", { disabled: off, "aria-label": name }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  const named = (each) => `${each.name}${each.megabytes ? `, ${each.megabytes} MB` : ""}${each.here ? "" : ` (${t("settings.fetch")})`}`;
  const reader = select([...readers.map((each) => [each.name, named(each)]), ["", t("settings.endpoint")]], values["reader.model"], t("settings.reader"));
  const endpoint = h("input", { type: "url", placeholder: found.example, "aria-label": t("settings.address"), hidden: true, disabled: off });
  reader.addEventListener("change", () => { endpoint.hidden = reader.value !== ""; if (!endpoint.hidden) endpoint.focus(); });
  const model = () => reader.value || endpoint.value.trim();
  const told = h("p", { class: "hint", role: "status" });
  const test = h("button", { type: "button", disabled: off, onclick: async () => {
    test.disabled = true;
    told.textContent = t("settings.testing");
    try {
      const { said, seconds } = await send("POST", "/settings/test", { model: model() });
      told.textContent = t("settings.answers", { said, time: duration(seconds) });
    } catch (problem) { told.textContent = problem.message; }
    test.disabled = false;
  } }, t("settings.test"));
  const retriever = select(["hybrid", "bm25", "sparse", "dense"].map((each) => [each, t(`retriever.${each}`)]), values["retrieve.retriever"], t("retriever"));
  const k = h("input", { type: "number", min: 1, max: 50, value: values["retrieve.k"], disabled: off });
  const share = (value) => h("input", { type: "number", min: 0, max: 100, step: 1, value: Math.round(100 * value), disabled: off });
  const shown = share(values["reader.min_probability"]), marked = share(values["extract.threshold"]);
  const spoken = select([["en", "English"], ["de", "Deutsch"]], language, t("language"));
  spoken.disabled = false;
  const sent = await ask(t("settings"), [
    h("label", {}, t("settings.reader"), reader), endpoint, h("p", { class: "hint" }, t("settings.key")), h("div", { class: "row" }, test, told),
    h("label", {}, t("retriever"), retriever), h("label", {}, t("settings.k"), k),
    h("label", {}, t("settings.shown"), shown), h("label", {}, t("settings.marked"), marked), h("label", {}, t("language"), spoken),
    off ? h("p", { class: "hint" }, t("settings.fixed")) : null,
  ].filter(Boolean), t("save"), () => ({
    language: spoken.value,
    values: { "reader.model": model(), "retrieve.k": Number(k.value), "retrieve.retriever": retriever.value, "reader.min_probability": Number(shown.value) / 100, "extract.threshold": Number(marked.value) / 100 },
  }), t("cancel"));
  if (!sent) return;
  const changed = Object.fromEntries(Object.entries(sent.values).filter(([name, value]) => value !== values[name] && !(typeof value === "number" && Math.abs(value - values[name]) < 0.005)));
  try { if (changeable && Object.keys(changed).length) { await send("PATCH", "/settings", { values: changed }); tell(t("settings.saved"), null, 4); } } catch (problem) { tell(problem.message); }
  if (sent.language !== language) chooseLanguage(sent.language);
};
