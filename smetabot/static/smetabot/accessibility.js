// The theme opens its menus by clicks on what a keyboard cannot reach and a screen reader cannot name: spans, and links
// that lead nowhere. Copies of a dozen of its templates would mend that too, until its next version.

const CLICKED = "[x-on\\:click]:not(a[href], button, input, select, textarea, label, #changelist-filter-close)";
const FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, [role=button]";

// Once the widgets have made themselves.
window.addEventListener("load", () => {
  const words = document.querySelector("meta[name=words]").dataset;
  addSkipLink(words);
  nameIcons(words);
  nameChoices();
  document.querySelectorAll(CLICKED).forEach(makeButton);
  document.addEventListener("keydown", closeByEscape);
});

function addSkipLink(words) {
  const content = document.getElementById("content");
  if (!content) return;
  content.role = "main";
  content.tabIndex = -1;
  const skip = document.createElement("a");
  skip.href = "#content";
  skip.className = "skip-link";
  skip.textContent = words.skip;
  document.body.prepend(skip);
}

// The ligatures of the icons' font would be read out as words.
function nameIcons(words) {
  for (const icon of document.querySelectorAll(".material-symbols-outlined")) {
    const control = icon.closest(`a, button, ${CLICKED}`);
    const ligature = icon.textContent.trim();
    if (control?.textContent.trim() === ligature && !control.title && !control.ariaLabel) {
      // The icon of the light's switch shows its state, when it does.
      control.ariaLabel = words[control.matches("[x-on\\:click^=openTheme]") ? "light_mode" : ligature] ?? null;
    }
    if (icon !== control) icon.ariaHidden = "true";
  }
}

// Select2 names a field by what is chosen in it.
function nameChoices() {
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    const name = select.labels[0]?.textContent.trim() ?? select.ariaLabel;
    for (const part of select.nextElementSibling.querySelectorAll("[role=combobox], [role=textbox]")) {
      part.removeAttribute("aria-labelledby");
      part.ariaLabel = name;
    }
  }
}

let opener = null;

function makeButton(control) {
  control.role = "button";
  control.tabIndex = 0;
  control.addEventListener("keydown", (event) => {
    if (event.target !== control || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    opener = control;
    control.click();
    // Most of what opens stands elsewhere in the page, and before its button.
    const inside = [...(openedBy(control)?.querySelectorAll(FOCUSABLE) ?? [])];
    setTimeout(() => inside.find((item) => item.checkVisibility())?.focus(), 50);
  });
}

function openedBy(control) {
  const state = control.getAttribute("x-on:click");
  if (state.startsWith("sidebarMobileOpen")) return document.getElementById("nav-sidebar");
  if (state.startsWith("filterOpen")) return document.getElementById("changelist-filter");
  const elsewhere = control.parentElement.querySelector("template");
  return elsewhere ? elsewhere._x_teleport : control.parentElement.querySelector(":scope > nav");
}

function closeByEscape(event) {
  if (event.key !== "Escape") return;
  // Of the theme's menus some mind this key, and all a click beside them.
  document.body.click();
  Alpine.$data(document.body).sidebarMobileOpen = false;
  if (document.activeElement.closest("nav, #changelist-filter")) opener?.focus();
  opener = null;
}
