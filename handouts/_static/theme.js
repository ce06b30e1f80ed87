/* SPDX-License-Identifier: MIT
 * Debian's furo has lost the rule by which its theme "auto" follows the browser: on a dark screen the
 * page stayed light and its code went dark. So "auto" is made the one that the browser prefers. */
"use strict";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function settleTheme() {
  if (document.body.dataset.theme === "auto")
    document.body.dataset.theme = prefersDark.matches ? "dark" : "light";
}

addEventListener("DOMContentLoaded", () => {
  settleTheme();
  new MutationObserver(settleTheme).observe(document.body, { attributeFilter: ["data-theme"] });
});
