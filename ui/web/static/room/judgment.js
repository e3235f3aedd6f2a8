// Chooses tabs, brings the cited words into view, and asks for another case ("glossator:case"). `data-visit` tells a
// panel from the one before. `opened`: it was asked for from within a panel, and takes the focus, which that one had.
(() => {
  const all = (part, what) => [...part.querySelectorAll(what)];
  const choose = (panel, tab) => all(panel, "[role=tab]").forEach((other) => {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
  });
  const bring = (part) => {
    const box = part.closest("[role=tabpanel]");
    choose(box.closest(".judgment"), document.getElementById(box.getAttribute("aria-labelledby")));
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    box.scrollTop += inner.top - outer.top - 0.3 * (outer.height - Math.min(inner.height, outer.height));
    return box;
  };
  const go = (panel, number) => {
    const part = document.getElementById(`case-paragraph-${number}`), told = panel.querySelector(".now");
    all(panel, ".paragraph[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
    told.textContent = part ? `§ ${number}` : `There is no § ${number}.`;
    if (!part) return;
    part.setAttribute("aria-current", "true");
    bring(part).focus();
  };
  const marked = (panel) => {
    const mark = panel.querySelector("mark");
    if (mark) bring(mark);
  };
  let seen = "", opened = false;
  new MutationObserver(() => {
    const panel = document.querySelector(".judgment");
    if (!panel || panel.dataset.visit === seen) return;
    seen = panel.dataset.visit;
    marked(panel);
    const found = panel.matches(".precedents");
    if (found) panel.scrollIntoView();
    if (opened || found) panel.querySelector("[role=tab][aria-selected=true]").focus();
    opened = false;
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-visit"] });
  const on = (event, what, act) => document.addEventListener(event, (happened) => {
    const part = happened.target.closest?.(what);
    if (part) act(part, part.closest(".judgment"), happened);
  });
  on("click", ".judgment [role=tab]", (tab, panel) => choose(panel, tab));
  on("keydown", ".judgment [role=tab]", (tab, panel, pressed) => {
    const tabs = all(panel, "[role=tab]"), now = tabs.indexOf(tab), last = tabs.length - 1;
    const next = { ArrowRight: now < last ? now + 1 : 0, ArrowLeft: now ? now - 1 : last, Home: 0, End: last };
    if (!(pressed.key in next)) return;
    pressed.preventDefault();
    choose(panel, tabs[next[pressed.key]]);
    tabs[next[pressed.key]].focus();
  });
  on("click", ".judgment a[href^='#case-paragraph-']", (link, panel, clicked) => {
    clicked.preventDefault();
    go(panel, link.hash.slice("#case-paragraph-".length));
  });
  on("click", ".judgment button[data-paragraph]", (button, panel) => go(panel, button.dataset.paragraph));
  on("change", ".judgment .goto input", (box, panel) => { if (box.value) go(panel, Number(box.value)); });
  on("click", ".judgment button[data-case]", (button) => {
    opened = true;
    dispatchEvent(new CustomEvent("glossator:case", { detail: { id: button.dataset.case, place: button.dataset.place } }));
  });
})();
