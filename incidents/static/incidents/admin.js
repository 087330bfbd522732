// Keys of the triage screens: j and k move, Enter opens, x chooses, a and r act, / searches.
(() => {
  "use strict";
  const rows = () => Array.from(document.querySelectorAll("[data-row]"));
  const boxes = () => Array.from(document.querySelectorAll("[name=ids][type=checkbox]"));
  let place = -1;

  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    place = Math.min(Math.max(place + step, 0), all.length - 1);
    all.forEach((row, at) => row.classList.toggle("fb-current", at === place));
    const target = all[place].querySelector("[data-open]") || all[place];
    target.focus({ preventScroll: true });
    all[place].scrollIntoView({ block: "nearest" });
  };

  const tell = () => {
    const shown = document.querySelector("[data-chosen]");
    if (!shown) return;
    const chosen = boxes().filter((box) => box.checked).length;
    shown.textContent = chosen ? `${chosen} chosen` : "None chosen";
    document.querySelectorAll("[data-needs-choice]").forEach((button) => { button.disabled = !chosen; });
    const all = document.querySelector("[data-all]");
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  };

  const act = (key) => {
    const button = document.querySelector(`[data-key="${key}"]`);
    if (!button) return;
    if (document.querySelector("[data-list]") && !boxes().some((box) => box.checked)) {
      const box = rows()[place]?.querySelector("[name=ids]");
      if (!box) return;
      box.checked = true;
      tell();
    }
    button.click();
  };

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      boxes().forEach((box) => { box.checked = event.target.checked; });
    }
    tell();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    switch (event.key) {
      case "j": go(1); break;
      case "k": go(-1); break;
      case "x": {
        const box = rows()[place]?.querySelector("[name=ids]");
        if (box) { box.checked = !box.checked; tell(); }
        break;
      }
      case "a": case "r": act(event.key); break;
      case "/": {
        const search = document.querySelector("#filters [name=search]");
        if (!search) return;
        search.focus();
        search.select();
        break;
      }
      default: return;
    }
    event.preventDefault();
  });

  tell();
})();
