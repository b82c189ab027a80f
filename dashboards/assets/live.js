"use strict";
// Dash marks its radio buttons as options of a list box; for screen readers they are made what they are.
(() => {
  const names = { view: "View", choice: "Figure", scale: "Scale" };
  const mend = () => {
    document.querySelectorAll(".dash-radioitems").forEach((group) => {
      group.setAttribute("role", "radiogroup");
      group.setAttribute("aria-label", names[group.id] || group.id);
      group.querySelectorAll("label").forEach((label) => {
        label.removeAttribute("role");
        label.removeAttribute("aria-selected");
      });
    });
    document.querySelectorAll(".dash-dropdown-focus-target[tabindex='0']").forEach((input) => { input.tabIndex = -1; });
  };
  let asked = 0;
  const soon = () => { cancelAnimationFrame(asked); asked = requestAnimationFrame(mend); };
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true, attributeFilter: ["aria-selected"] });
})();
