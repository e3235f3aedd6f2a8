// A click or Enter on a marker chooses its source. A page's picture is scrolled to the quote. What Gradio 6.31 leaves
// out: one name for the radio buttons of a group (for the arrow keys), and names for the group and the note's button.
// Beside these, what stands in a box where nothing is chosen, and the names of its chips' buttons.
// What it adds: as the name of a message its Markdown, signs and tags and all, which would be read out instead of it.
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href*="#citation-"]');
  const box = document.querySelector("#marker textarea, #marker input");
  if (!link || !box) return;
  event.preventDefault();
  event.stopPropagation();
  box.value = link.getAttribute("href").split("#citation-")[1] + " " + Date.now();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}, true);
document.addEventListener("load", (event) => {
  const picture = event.target, page = document.getElementById("page");
  if (picture.dataset && picture.dataset.at && page)
    page.scrollTop = (0.1 + 0.8 * picture.dataset.at) * picture.height - page.clientHeight / 2;
}, true);
new MutationObserver(() => {
  const page = document.getElementById("page");  // what is too long to be read out unasked
  page?.setAttribute("aria-live", page.querySelector(".heat, .player, .judgment") ? "off" : "polite");
  const asked = document.querySelector("#why:not([role]) span[aria-hidden]");
  if (asked) Object.assign(asked.closest("#why"), { role: "group", ariaLabel: asked.textContent });
  const chips = document.querySelectorAll("#asked .token"), box = document.querySelector("#asked input");
  if (box) box.placeholder = chips.length ? "" : "all documents";
  chips.forEach((chip) => {
    const button = chip.querySelector(".token-remove"), name = `Remove ${chip.innerText.trim()}`;
    if (button && button.title != name) button.title = chip.title = name;
  });
  document.querySelectorAll("fieldset > [data-testid=block-info]").forEach((label) => {
    if (label.parentElement.ariaLabel != label.innerText) label.parentElement.ariaLabel = label.innerText;
  });
  for (const [group, name] of [["sources", "source"], ["style", "style"]])
    document.querySelectorAll(`#${group} input:not([name=${name}])`).forEach((radio) => { radio.name = name; });
  document.querySelectorAll('#chat button[aria-label=""]').forEach((button) => {
    button.setAttribute("aria-label", "Show or hide the note");
  });
  document.querySelectorAll("#chat [data-testid=bot][aria-label]").forEach((said) => {
    said.removeAttribute("aria-label");
  });
}).observe(document, { childList: true, subtree: true, attributeFilter: ["name", "aria-label"] });
