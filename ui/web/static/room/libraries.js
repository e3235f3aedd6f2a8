// The libraries that this server has, to switch between: each has addresses of its own, "/?l=NAME".
import { h, icon, openMenu, ask, tell } from "./dom.js";
import { t } from "./words.js";
import { everywhere, library } from "./api.js";

let known = [];
const name = h("span", {}, "…");
export const libraryPart = () => {
  const button = h("button", { type: "button", class: "library", "aria-haspopup": "menu", "aria-label": t("library"), onclick: () => choose(button) }, icon("books"), name);
  load().catch((problem) => tell(problem.message));
  return button;
};

const load = async () => {
  known = (await everywhere("GET", "/libraries")).libraries;
  const open = known.find((each) => each.name === library);
  if (!open) { location.replace("/"); return; }
  name.textContent = open.title;
  name.parentElement?.setAttribute("aria-label", `${t("library")}: ${open.title}`);
};
const go = (to) => location.assign(to ? `/?l=${encodeURIComponent(to)}` : "/");

const choose = async (button) => {
  await load().catch(() => {});
  const open = known.find((each) => each.name === library);
  openMenu(button, [
    ...known.map((each) => ({ name: each.title, chosen: each.name === library, act: () => each.name !== library && go(each.name) })),
    { name: t("library.new"), act: create },
    open?.own && open.owner && { name: t(open.shared ? "library.unshare" : "library.share"), act: () => share(!open.shared) },
    library && open?.own && { name: t("library.remove", { title: name.textContent }), act: remove },
  ]);
};
const create = async () => {
  const box = h("input", { maxLength: 80, required: true, "aria-label": t("library.name") });
  const title = await ask(t("library.new"), [h("label", {}, t("library.name"), box)], t("library.create"), () => box.value.trim(), t("cancel"));
  if (!title) return;
  try { go((await everywhere("POST", "/libraries", { title })).name); } catch (problem) { tell(problem.message); }
};
const share = async (shared) => {
  try { await everywhere("PATCH", `/libraries/${library}`, { shared }); tell(t(shared ? "library.shared" : "library.private")); } catch (problem) { tell(problem.message); }
};
const remove = async () => {
  const title = name.textContent;
  const sure = await ask(t("library.remove", { title }), [h("p", {}, t("library.sure"))], t("remove"), () => true, t("cancel"));
  if (!sure) return;
  try { await everywhere("DELETE", `/libraries/${library}`); location.replace("/"); } catch (problem) { tell(problem.message); }
};
