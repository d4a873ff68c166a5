// Renews the page's content every few seconds, without losing the place or what has the focus.
"use strict";
const EVERY_MS = 5000;
async function renew() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = fresh.title;
    for (const part of ["header", "main"]) {
      const old = document.querySelector(part);
      const now = fresh.querySelector(part);
      if (!old || !now || old.isEqualNode(now) || old.contains(document.activeElement)) continue;
      old.replaceWith(document.adoptNode(now));
    }
  } catch {
    // the server is away; the page stays as it was and tries again
  }
}
setInterval(renew, EVERY_MS);
