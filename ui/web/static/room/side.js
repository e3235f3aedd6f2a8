// The side: conversations and documents, found, opened, renamed and removed; files on their way in.
import { h, icon, iconButton, tell, ask, openMenu } from "./dom.js";
import { t, percent } from "./words.js";
import { get, getIfChanged, send, upload, pageAddress } from "./api.js";
import { state, on, emit, kept, keep } from "./state.js";
import { openConversation } from "./conversation.js";

const conversations = h("ul", { class: "list", "aria-label": t("conversations") });
const documents = h("div", { class: "documents", role: "group", "aria-label": t("documents") });
const findConversation = h("input", { type: "search", placeholder: t("conversations.find"), "aria-label": t("conversations.find") });
const findDocument = h("input", { type: "search", placeholder: t("documents.find"), "aria-label": t("documents.find") });
const chooser = h("input", { type: "file", multiple: true, hidden: true });
const drop = h("div", { class: "drop", hidden: true }, h("p", {}, t("documents.drop")));

export const sidePart = () => {
  chooser.addEventListener("change", () => { addFiles([...chooser.files]); chooser.value = ""; });
  on("choose files", () => chooser.click());
  findConversation.addEventListener("input", () => { clearTimeout(findConversation.late); findConversation.late = setTimeout(loadConversations, 200); });
  findDocument.addEventListener("input", showDocuments);
  return h("nav", { class: "side waiting", "aria-label": t("side") },
    h("button", { type: "button", class: "new", onclick: () => go(null) }, icon("plus"), t("new")),
    h("section", { "aria-label": t("conversations") }, h("h2", {}, t("conversations")), findConversation, conversations),
    h("section", { class: "grows", "aria-label": t("documents") }, h("h2", {}, t("documents"), h("span", { class: "grows" }),
      iconButton("sort", t("documents.sort"), (event) => sortMenu(event.currentTarget), { "aria-haspopup": "menu" }), iconButton("plus", t("documents.add"), (event) => add(event.currentTarget))),
      findDocument, documents, h("details", { class: "which" }, h("summary", {}, t("documents.which")), h("p", { class: "hint" }, t("documents.kinds")))),
    chooser);
};
export const dropPart = () => drop;

export const go = (id) => {
  history.pushState(null, "", pageAddress(id));
  emit("show", "talk");
  openConversation(id).catch((problem) => { tell(problem.message); if (id) go(null); });
};

// The side is shown when both lists are here, so that nothing moves.
const awaited = new Set(["documents", "conversations"]);
const settled = (part) => { awaited.delete(part); if (!awaited.size) documents.closest(".side")?.classList.remove("waiting"); };
setTimeout(() => { awaited.clear(); settled(""); }, 2000);

// -- conversations

export const loadConversations = async () => {
  const q = findConversation.value.trim();
  const { conversations: found, lasting } = await get("/conversations", { q });
  findConversation.hidden = !q && found.length < 6;
  const rows = found.filter((each) => each.turns || each.title).map((each) => {
    const open = each.id === state.conversation?.id;
    const more = iconButton("more", `${t("more")}: ${each.title}`, (event) => openMenu(event.currentTarget, [
      { name: t("rename"), act: () => renameConversation(each) }, { name: t("remove"), act: () => removeConversation(each) }]), { "aria-haspopup": "menu" });
    return h("li", { class: open ? "current" : "" }, h("button", { type: "button", class: "row-button", "aria-current": open ? "page" : undefined, title: each.title, onclick: () => go(each.id) },
      h("span", { class: "title" }, each.title || t("conversation.untitled")), each.open ? h("small", {}, t("conversation.open")) : null), more);
  });
  conversations.replaceChildren(...(rows.length ? rows : [h("li", { class: "hint" }, q ? t("search.none") : t("conversations.none"))]));
  settled("conversations");
  if (!lasting) conversations.append(h("li", { class: "hint" }, t("not.lasting")));
};
const renameConversation = async (each) => {
  const box = h("input", { value: each.title, maxLength: 300, "aria-label": t("conversation.name") });
  const title = await ask(t("conversation.name"), [box], t("save"), () => box.value.trim(), t("cancel"));
  if (title) { await send("PATCH", `/conversations/${each.id}`, { title }).catch((problem) => tell(problem.message)); loadConversations(); }
};
const removeConversation = async (each) => {
  try { await send("DELETE", `/conversations/${each.id}`); } catch (problem) { tell(problem.message); return; }
  if (each.id === state.conversation?.id) go(null);
  loadConversations();
  tell(t("conversation.removed"), { name: t("undo"), act: async () => { await send("POST", `/conversations/${each.id}/restore`); loadConversations(); go(each.id); } });
};
for (const what of ["conversation", "asked", "idle", "busy"]) on(what, () => loadConversations().catch(() => {}));

// -- documents

let tag = "", uploads = [], sending = [], first = true;
const filesOf = new Map();  // upload row -> the files that it was sent with, to try a password
const loadDocuments = async () => {
  const { json, tag: now } = await getIfChanged("/documents", tag);
  if (!json) return;
  tag = now;
  state.documents = json.documents;
  state.filters = json.filters;
  state.folders = json.folders;
  uploads = json.uploads;
  const known = new Set(json.documents.map((each) => each.id));
  const chosen = state.scope.documents.filter((id) => known.has(id));
  if (chosen.length !== state.scope.documents.length) { state.scope.documents = chosen; emit("scope"); }
  showDocuments();
  emit("documents", first);
  first = false;
  settled("documents");
};
export const watchDocuments = async () => {
  for (;;) {
    let soon = false;
    try {
      if (!document.hidden) await loadDocuments();
      soon = sending.length || uploads.some((row) => ["waiting", "reading", "preparing"].includes(row.state)) || state.documents.some((each) => each.state === "preparing");
    } catch { /* said elsewhere; it is asked again */ }
    await new Promise((wait) => { setTimeout(wait, soon ? 700 : 4000); hurry = wait; });
  }
};
let hurry = () => {};

const ORDERS = { title: () => 0, newest: (a, b) => b.generation - a.generation, longest: (a, b) => b.passages - a.passages };
const sortMenu = (button) => openMenu(button, Object.keys(ORDERS).map((name) => ({ name: t(`sort.${name}`), chosen: kept("sort", "title") === name, act: () => { keep("sort", name); showDocuments(); } })));
const showDocuments = () => {
  const wanted = findDocument.value.trim().toLocaleLowerCase();
  const found = [...state.documents].sort(ORDERS[kept("sort", "title")] ?? ORDERS.title).filter((each) => each.title.toLocaleLowerCase().includes(wanted));
  findDocument.hidden = state.documents.length < 6 && !wanted;
  const groups = Object.groupBy ? Object.groupBy(found, (each) => each.group) : found.reduce((all, each) => ({ ...all, [each.group]: [...(all[each.group] ?? []), each] }), {});
  const parts = [...sending.map(sendingRow), ...uploads.filter(isWorthARow).map(uploadRow)].map((row) => h("ul", { class: "list" }, row));
  const folded = kept("folded", []);
  for (const group of ["documents", "judgments", "episodes"]) if (groups[group]) {
    const list = h("ul", { class: "list" }, groups[group].map(documentRow));
    if (Object.keys(groups).length === 1) { parts.push(list); continue; }
    const box = h("details", { open: !folded.includes(group) || Boolean(wanted) }, h("summary", {}, t(`group.${group}`), h("small", {}, ` ${groups[group].length}`)), list);
    box.addEventListener("toggle", () => keep("folded", box.open ? kept("folded", []).filter((each) => each !== group) : [...kept("folded", []), group]));
    parts.push(box);
  }
  const focused = document.activeElement?.closest?.(".documents") ? document.activeElement.dataset.focus : null;
  documents.replaceChildren(...(parts.length ? parts : [h("p", { class: "hint" }, wanted ? t("search.none") : t("documents.none"))]));
  if (focused) documents.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
};
on("scope", showDocuments);
on("conversation", showDocuments);

const documentRow = (each) => {
  const chosen = state.scope.documents.includes(each.id);
  const box = h("input", { type: "checkbox", checked: chosen, disabled: each.state !== "ready", "aria-label": t("document.ask", { title: each.title }), "data-focus": `box ${each.id}`,
    onchange: () => choose(chosen ? state.scope.documents.filter((id) => id !== each.id) : [...state.scope.documents, each.id]) });
  const note = each.state === "failed" ? t("document.failed", { error: each.error }) : each.state === "preparing" ? t("document.preparing") : each.extent;
  const more = iconButton("more", `${t("more")}: ${each.title}`, (event) => openMenu(event.currentTarget, [
    each.state === "ready" && { name: t("document.ask", { title: "" }).trim(), act: () => { choose([each.id]); emit("focus question"); } },
    each.state === "ready" && { name: t("rename"), act: () => renameDocument(each) },
    { name: t("remove"), act: () => removeDocument(each) }]), { "aria-haspopup": "menu", "data-focus": `more ${each.id}` });
  return h("li", { class: each.state }, box, h("button", { type: "button", class: "row-button", title: each.title, "data-focus": each.id, disabled: each.state === "failed", onclick: () => emit("read", each.id) },
    h("span", { class: "title" }, each.title), h("small", {}, note)), more);
};
const choose = (ids) => { state.scope.documents = ids; emit("scope"); };
on("choose", choose);

const renameDocument = async (each) => {
  const box = h("input", { value: each.title, maxLength: 300, "aria-label": t("document.name") });
  const title = await ask(t("document.name"), [box], t("save"), () => box.value.trim(), t("cancel"));
  if (title) { await send("PATCH", `/documents/${each.id}`, { title }).catch((problem) => tell(problem.message)); tag = ""; hurry(); }
};
const removeDocument = async (each) => {
  let seconds;
  try { ({ seconds } = await send("DELETE", `/documents/${each.id}`)); } catch (problem) { tell(problem.message); return; }
  hurry();
  tell(t("document.removed", { title: each.title }), { name: t("undo"), act: () => send("POST", `/documents/${each.id}/restore`).then(hurry, (problem) => tell(problem.message)) }, seconds - 1);
};

// -- files on their way in

const add = (button) => (state.folders.length ? openMenu(button, [{ name: t("documents.add"), act: () => chooser.click() }, { name: t("folder.add"), act: addFolder }]) : chooser.click());
const addFolder = async () => {
  const box = h("input", { value: `${state.folders[0]}/`, required: true, "aria-label": t("folder.path") });
  const folder = await ask(t("folder.add"), [h("p", { class: "hint" }, t("folder.allowed", { folders: state.folders.join(", ") })), h("label", {}, t("folder.path"), box)], t("folder.add"), () => box.value.trim(), t("cancel"));
  if (folder) { await send("POST", "/documents", { folder }).catch((problem) => tell(problem.message)); hurry(); }
};

const isWorthARow = (row) => row.state !== "ready" || !row.documents.every((id) => state.documents.some((each) => each.id === id && each.state === "ready"));
const sendingRow = (each) => h("li", { class: "upload" }, h("span", { class: "title" }, each.name), h("small", {}, t("upload.sending", { share: percent(each.share) })), h("progress", { value: each.share, max: 1, "aria-label": each.name }));
const uploadRow = (row) => {
  const share = row.total ? row.done / row.total : 0;
  const text = row.state === "preparing" && !row.total ? t("upload.preparing.soon") : t(`upload.${row.state}`, { ...row, share: percent(share) });
  const parts = [h("span", { class: "title" }, row.name), h("small", { class: row.state === "failed" ? "problem" : "" }, text)];
  if (["reading", "preparing"].includes(row.state)) parts.push(h("progress", { value: share, max: 1, "aria-label": row.name }));
  if (["failed", "stopped"].includes(row.state) && filesOf.has(row.name)) parts.push(h("button", { type: "button", onclick: () => { send("DELETE", `/uploads/${encodeURIComponent(row.id)}`).catch(() => {}); addFiles(filesOf.get(row.name)); } }, t(`upload.again.${row.state}`)));
  if (row.state === "locked") {
    const files = filesOf.get(row.name);
    const box = h("input", { type: "password", "aria-label": t("upload.locked"), autocomplete: "off" });
    parts.push(files ? h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); send("DELETE", `/uploads/${encodeURIComponent(row.id)}`); addFiles(files, box.value); } }, box, h("button", { type: "submit" }, t("upload.unlock"))) : h("small", {}, t("upload.gone")));
  }
  const is_open = ["waiting", "reading", "preparing"].includes(row.state);
  return h("li", { class: `upload ${row.state}` }, ...parts, iconButton(is_open ? "pause" : "close", `${t(is_open ? "upload.pause" : "close")}: ${row.name}`, () => send("DELETE", `/uploads/${encodeURIComponent(row.id)}`).then(hurry), { "data-focus": `close ${row.id}` }));
};

export const addFiles = async (files, password = "") => {
  if (!files.length) return;
  emit("show", "side");
  const rows = files.map((file) => ({ name: file.name, share: 0 }));
  sending.push(...rows);
  showDocuments();
  const uploaded = [];
  for (const [i, file] of files.entries()) {
    try { uploaded.push(await upload(file, (share) => { rows[i].share = share; showDocuments(); })); } catch (problem) { tell(`${file.name}: ${problem.message}`); }
    sending = sending.filter((row) => row !== rows[i]);
    filesOf.set(file.name, [file]);
  }
  try { if (uploaded.length) await send("POST", "/documents", { uploads: uploaded, password }); } catch (problem) { tell(problem.message); }
  hurry();
};
addEventListener("dragenter", (event) => { if (event.dataTransfer?.types.includes("Files")) drop.hidden = false; });
addEventListener("dragover", (event) => { if (!drop.hidden) event.preventDefault(); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.hidden = true; });
addEventListener("drop", (event) => {
  if (drop.hidden) return;
  event.preventDefault();
  drop.hidden = true;
  addFiles([...event.dataTransfer.files]);
});
