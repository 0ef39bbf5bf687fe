/* Light or dark? Set before the first paint, changed by the switch in the top bar, kept in a cookie of the site. */
(() => {
  "use strict";

  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  if (root.dataset.colorMode === "auto") root.dataset.colorMode = dark.matches ? "dark" : "light";

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("color-mode");
    const label = () => {
      const isDark = root.dataset.colorMode === "dark";
      button.setAttribute("aria-pressed", String(isDark));
      button.setAttribute("title", isDark ? "Switch to light colours" : "Switch to dark colours");
    };
    button.addEventListener("click", () => {
      root.dataset.colorMode = root.dataset.colorMode === "dark" ? "light" : "dark";
      document.cookie = `sandbox_mode=${root.dataset.colorMode}; path=/; max-age=31536000; samesite=lax`;
      label();
    });
    label();
    const people = document.getElementById("whoami");
    if (people) people.addEventListener("change", () => people.form.requestSubmit());
  });
})();
