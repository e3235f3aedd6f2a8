// Elements made in one call: text is always set as text, so that nothing of a document is ever taken for markup.
export const h = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && !name.startsWith("aria") && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
};

const PATHS = {
  plus: "M12 5v14M5 12h14", close: "M6 6l12 12M18 6L6 18", send: "M12 19V5M6 11l6-6 6 6", stop: "M7 7h10v10H7z",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16 16l5 5", menu: "M5 7h14M5 12h14M5 17h14", more: "M6 12h.01M12 12h.01M18 12h.01",
  side: "M4 5h16v14H4zM10 5v14", left: "M15 5l-7 7 7 7", right: "M9 5l7 7-7 7", copy: "M9 9h10v11H9zM5 15V4h10",
  again: "M5 12a7 7 0 1 1 2 5M5 20v-4h4", up: "M7 20V11l4-7 2 1-1 5h7l-2 10z", down: "M7 4v9l4 7 2-1-1-5h7L17 4z",
  edit: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3", file: "M7 3h7l4 4v14H7zM14 3v4h4", sun: "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13", why: "M12 21a9 9 0 1 0 0-18a9 9 0 0 0 0 18M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 17h.01",
  sort: "M7 5v14M4 16l3 3 3-3M13 6h7M13 11h5M13 16h3", pause: "M9 6v12M15 6v12", books: "M5 4h4v16H5zM9 6h4v14H9zM14 6.5l4-1 3.5 14-4 1z", in: "M12 5v14M5 12h14", out: "M5 12h14", save: "M12 4v11M7 11l5 5 5-5M5 20h14",
};
export const icon = (name) => {
  const holder = document.createElement("template");  // of our own paths above, nothing else
  holder.innerHTML = `<svg viewBox="0 0 24 24" class="icon" aria-hidden="true"><path d="${PATHS[name]}"/></svg>`;
  return holder.content.firstChild;
};
export const iconButton = (name, label, act, more = {}) =>
  h("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: act, ...more }, icon(name));

// A sentence that a screen reader says, and everybody sees for a while; with an action ("Undo") that ends it.
export const tell = (text, action = null, seconds = 8) => {
  const box = document.getElementById("notices");
  const notice = h("div", { class: "notice" }, h("span", {}, text));
  const end = () => notice.remove();
  if (action) notice.append(h("button", { type: "button", onclick: () => { end(); action.act(); } }, action.name));
  notice.append(h("button", { type: "button", class: "quiet", "aria-label": "×", onclick: end }, icon("close")));
  box.append(notice);
  setTimeout(end, seconds * 1000);
};

// A menu below its button: arrow keys, Escape, a click elsewhere.
export const openMenu = (button, entries) => {
  document.querySelector(".popup")?.remove();
  const menu = h("div", { class: "popup", role: "menu" });
  const close = (back) => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    button.setAttribute("aria-expanded", "false");
    if (back) button.focus();
  };
  const outside = (event) => { if (!menu.contains(event.target) && event.target !== button) close(false); };
  for (const entry of entries.filter(Boolean)) {
    const role = entry.chosen === undefined ? "menuitem" : "menuitemradio";
    menu.append(h("button", {
      type: "button", role, "aria-checked": entry.chosen === undefined ? undefined : String(entry.chosen),
      onclick: () => { close(true); entry.act(); },
    }, entry.name, entry.about ? h("small", {}, entry.about) : null));
  }
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.children], at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") { event.stopPropagation(); close(true); }
    if (event.key === "Tab") close(false);
    if (next === undefined) return;
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  });
  const place = button.getBoundingClientRect();
  document.getElementById("room").append(menu);
  menu.style.top = `${Math.min(place.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
  menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - menu.offsetWidth - 8))}px`;
  button.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  menu.firstChild?.focus();
};

// A dialog with a form: what it resolves to is what `read` gives when it is sent, null when it is closed.
export const ask = (title, parts, confirm, read, cancel) => new Promise((resolve) => {
  const dialog = h("dialog", { class: "dialog", "aria-label": title });
  const form = h("form", { method: "dialog" }, h("h2", {}, title), ...parts, h("div", { class: "row end" },
    h("button", { type: "button", onclick: () => dialog.close() }, cancel),
    h("button", { type: "submit", class: "primary" }, confirm)));
  form.addEventListener("submit", (event) => { event.preventDefault(); const value = read(); dialog.returnValue = "sent"; resolve(value); dialog.close(); });
  dialog.addEventListener("close", () => { resolve(null); dialog.remove(); });
  dialog.append(form);
  document.getElementById("room").append(dialog);
  dialog.showModal();
});
