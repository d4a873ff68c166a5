// Keeps the page as it would be if it were loaded now: the server says what changed, the page is asked for again,
// and only what differs is replaced, so that focus, open details, scroll and half-written text stay.
"use strict";
(() => {
  const BETWEEN_MS = 1000; // at most one renewal a second
  const ANYWAY_MS = 30000; // what is silent grows unknown, though nothing is written
  const ALONE_MS = 5000; // while the server pushes nothing
  const TYPING_MS = 150;
  let source = null, timer = 0, last = 0, tag = "", asking = false, lost = false, again = 0;

  function say(state, text) {
    const place = document.getElementById("live");
    if (!place || place.dataset.state === state) return;
    place.dataset.state = state;
    place.textContent = text;
  }

  function concerns(change) {
    const { models = "[]", kinds = "[]" } = document.querySelector("main").dataset;
    const shown = JSON.parse(models), of = JSON.parse(kinds);
    const about = shown.includes("*") || change.models.some((id) => shown.includes(id));
    return about && change.kinds.some((kind) => of.includes(kind));
  }

  function soon(wait = 0) {
    clearTimeout(timer);
    timer = setTimeout(renew, Math.max(wait, last + BETWEEN_MS - Date.now()));
  }

  async function renew() {
    if (document.hidden) return;
    if (asking) return soon(100);
    asking = true;
    last = Date.now();
    try {
      const asked = location.href;
      const answer = await fetch(asked, { headers: { Accept: "text/html" }, cache: "no-cache" });
      const now = answer.headers.get("ETag") + asked;
      if (answer.ok && document.querySelector("main[data-trouble]")) return location.reload(); // it is there now
      if (answer.ok && asked === location.href && now !== tag) {
        const text = await answer.text();
        if (asked === location.href) {
          show(new DOMParser().parseFromString(text, "text/html"));
          tag = now;
        }
      }
      if (!source || source.readyState !== EventSource.OPEN) say("alone", "every few seconds");
    } catch {
      say("lost", "reconnecting…"); // the page stays as it was and tries again
    } finally {
      asking = false;
      soon(source && source.readyState === EventSource.OPEN ? ANYWAY_MS : ALONE_MS);
    }
    return undefined;
  }

  function listen() {
    if (source || document.hidden) return;
    source = new EventSource("/api/v1/stream");
    source.addEventListener("open", () => {
      say("live", "live");
      soon(lost ? 0 : BETWEEN_MS); // something may have happened meanwhile, or since the page was written
      lost = false;
    });
    source.addEventListener("changed", (event) => {
      if (concerns(JSON.parse(event.data))) soon();
    });
    source.addEventListener("error", () => {
      lost = true;
      say("lost", "reconnecting…");
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        clearTimeout(again);
        again = setTimeout(listen, ALONE_MS);
      }
    });
  }

  // ------------------------------------------------------------------ replacing only what differs
  function show(fresh) {
    const focused = document.activeElement;
    const written = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
    document.title = fresh.title;
    for (const part of ["header", "main"]) {
      const old = document.querySelector(part), now = fresh.querySelector(part);
      if (old && now) morph(old, now);
    }
    if (focused && focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
      if (written && written[0] !== null) focused.setSelectionRange(...written);
    }
    document.dispatchEvent(new CustomEvent("leeway:changed"));
  }

  function same(old, now) {
    return old.nodeName === now.nodeName && (old.id || "") === (now.id || "");
  }

  function touched(form) {
    if (form.contains(document.activeElement) || form.dataset.busy) return true;
    return [...form.elements].some((field) => {
      if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
      if (field.tagName === "SELECT") {
        const first = [...field.options].find((one) => one.defaultSelected) || field.options[0];
        return first && !first.selected;
      }
      return "defaultValue" in field && field.value !== field.defaultValue;
    });
  }

  // What the server knows nothing of, or what somebody is writing though its subject is gone.
  function stays(one) {
    if (one.nodeType !== Node.ELEMENT_NODE) return false;
    const forms = one.matches("form.action") ? [one] : [...one.querySelectorAll("form.action")];
    return "keep" in one.dataset || forms.some(touched);
  }

  function morph(old, now) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== now.data) old.data = now.data;
      return;
    }
    if ("keep" in old.dataset || old.isEqualNode(now)) return;
    if (old.matches("form.action") && touched(old)) return;
    if (old.matches(".plot")) {
      old.setAttribute("aria-label", now.getAttribute("aria-label"));
      return; // its figure is drawn again from what stands behind it
    }
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
    }
    children(old, now);
  }

  function children(old, now) {
    const named = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
    let at = old.firstChild;
    for (const fresh of [...now.childNodes]) {
      const known = fresh.id ? named.get(fresh.id) : null;
      if (known && known !== at && same(known, fresh)) place(old, known, at);
      else if (!known || !same(known, fresh)) {
        while (at && stays(at) && !same(at, fresh)) at = at.nextSibling;
        if (!at || !same(at, fresh)) {
          old.insertBefore(document.adoptNode(fresh), at);
          continue;
        }
      }
      const kept = known && same(known, fresh) ? known : at;
      if (kept === at) at = at.nextSibling;
      morph(kept, fresh);
    }
    while (at) {
      const next = at.nextSibling;
      if (!stays(at)) at.remove();
      at = next;
    }
  }

  function place(parent, child, before) {
    if (parent.moveBefore) parent.moveBefore(child, before);
    else parent.insertBefore(child, before);
  }

  // ------------------------------------------------------------------ filters: the address says what is shown
  function ask(form) {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    const text = query.toString();
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
    last = 0;
    soon(TYPING_MS);
  }

  function narrow(form) {
    const list = form.dataset.narrows && document.getElementById(form.dataset.narrows);
    if (!list) return;
    const words = (form.elements.q?.value || "").toLowerCase();
    for (const row of list.querySelectorAll("tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(words);
  }

  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form || !form.matches("form.filter")) return;
    narrow(form); // at once; the server's answer follows
    ask(form);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form.filter")) return;
    event.preventDefault();
    ask(event.target);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.stay"); // the same page, asked otherwise
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    last = 0;
    soon();
  });
  addEventListener("popstate", () => {
    last = 0;
    soon();
  });
  document.addEventListener("leeway:renew", () => {
    last = 0;
    soon();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      // a browser has few connections to one host: those of hidden pages are given back
      source?.close();
      source = null;
      lost = true;
    } else {
      listen();
      soon();
    }
  });
  listen();
  soon(ANYWAY_MS);
})();
