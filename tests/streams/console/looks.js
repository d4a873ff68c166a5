({
  // What every page must have; what is given is what it lacks.
  lacks() {
    const lacks = [];
    const many = (what) => document.querySelectorAll(what).length;
    if (document.documentElement.lang !== "en") lacks.push("lang");
    if (!document.title) lacks.push("title");
    if (many("h1") !== 1) lacks.push("one h1");
    if (many("main") !== 1) lacks.push("one main");
    if (many("header nav [aria-current=page]") > 1) lacks.push("at most one current page");
    const ids = new Set();
    for (const one of document.querySelectorAll("header [id], main [id]")) {
      if (ids.has(one.id) && !one.closest(".plot")) lacks.push(`id ${one.id} once`);
      ids.add(one.id);
    }
    for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
      if (!field.labels.length && !field.getAttribute("aria-label")) lacks.push(`label of ${field.name}`);
    }
    for (const one of document.querySelectorAll("main a, button")) {
      const text = one.textContent.trim() || one.getAttribute("aria-label");
      if (!text) lacks.push(`text of ${one.outerHTML.slice(0, 60)}`);
    }
    for (const one of document.querySelectorAll("main svg, [role=img], [role=application]")) {
      const inside = one.parentElement.closest(".plot");
      if (!inside && !one.getAttribute("aria-label")) lacks.push(`what ${one.outerHTML.slice(0, 60)} shows`);
    }
    return lacks;
  },

  // By how many pixels the page is wider than what it is shown in.
  overflow() {
    return document.documentElement.scrollWidth - document.documentElement.clientWidth;
  },

  // Text whose contrast with what is behind it is below 4.5, or 3 where it is large (WCAG 2.2, 1.4.3).
  pale() {
    const numbers = (text) => (text.match(/[\d.]+/g) || []).map(Number);
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => [r, g, b].reduce((sum, c, at) => sum + linear(c / 255) * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (one) => {
      for (let at = one; at; at = at.parentElement) {
        const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
        if (a === 1 && r !== undefined) return [r, g, b];
      }
      return [255, 255, 255];
    };
    const found = new Set();
    for (const one of document.querySelectorAll("body *")) {
      const own = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!own || one.closest("script, .plot") || !one.checkVisibility()) continue;
      const style = getComputedStyle(one);
      const [more, less] = [light(numbers(style.color)), light(behind(one))].sort((a, b) => b - a);
      const ratio = (more + 0.05) / (less + 0.05);
      if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found.add(`${one.tagName}.${one.className}: ${ratio.toFixed(2)}`);
    }
    return [...found].slice(0, 8);
  },

  // Numbers everything that a keyboard must reach, and says how much that is. Beside the page, which may be renewed
  // meanwhile: what stays in it stays the same element, but attributes are made as the server has them.
  number() {
    const what = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    const reached = [...document.querySelectorAll(what)].filter(
      (one) => one.checkVisibility() && one.type !== "hidden" && !one.disabled,
    );
    window.places = new Map(reached.map((one, at) => [one, at]));
    return reached.length;
  },
})
