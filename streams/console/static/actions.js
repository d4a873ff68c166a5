// Buttons: opens the form of one, sends it as a command, and says what the judge made of it.
"use strict";
(() => {
  const COMMANDS = "/api/v1/commands";
  const NAME = "leeway.by"; // whose name it is, in this browser
  const AGAIN_MS = [500, 1500, 4000]; // after an answer that did not come; the same id every time
  const ASK_MS = [150, 400, 800, 1500, 3000, 5000]; // then every 5 s
  const ANSWER_MS = 20000;
  const LONGEST_MS = 30 * 24 * 3600 * 1000;
  const underway = new Set(); // commands on their way, as they stand in the page

  // ---- what is said to the person: one place, outside of what is renewed

  const told = document.createElement("div");
  told.className = "told";
  told.setAttribute("role", "status");
  told.setAttribute("aria-live", "polite");
  document.body.append(told);

  function note(called) {
    const line = document.createElement("p");
    const text = document.createElement("span");
    const away = document.createElement("button");
    away.type = "button";
    away.className = "away";
    away.textContent = "×";
    away.setAttribute("aria-label", "Dismiss");
    away.addEventListener("click", () => line.remove());
    line.append(text, away);
    told.append(line);
    return (state, words) => {
      line.dataset.state = state;
      text.textContent = `${called}: ${words}`;
    };
  }

  // ---- small things

  function named() {
    try {
      return localStorage.getItem(NAME) || "";
    } catch {
      return ""; // storage is forbidden: the name is asked every time
    }
  }

  function remember(name) {
    try {
      localStorage.setItem(NAME, name);
    } catch {
      // as above
    }
  }

  // randomUUID exists only where the page came over TLS or from this machine
  function fresh() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return "ui-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  async function ask(path, more) {
    const answer = await fetch(path, {
      ...more,
      headers: { Accept: "application/json", ...(more && more.headers) },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    let said = null;
    try {
      said = await answer.json();
    } catch {
      // a proxy in between speaks no JSON
    }
    return { status: answer.status, said };
  }

  // ---- sending: the id stays, so that trying again never says it twice

  async function send(body, key, tell) {
    for (let tried = 0; ; tried += 1) {
      let answer = null;
      try {
        answer = await ask(COMMANDS, {
          method: "POST",
          headers: { "Content-Type": "application/json", "Idempotency-Key": key },
          body: JSON.stringify(body),
        });
      } catch {
        // no answer: it may have arrived all the same
      }
      const later = answer === null || answer.status >= 500 || answer.status === 429;
      if (!later || tried === AGAIN_MS.length) return answer;
      tell("waits", answer === null ? "no answer yet, trying again" : `${reason(answer)}; trying again`);
      await pause(AGAIN_MS[tried]);
    }
  }

  function reason(answer) {
    if (answer === null) return "the server does not answer; nothing is lost, try again";
    const said = answer.said || {};
    if (answer.status === 401) return "a token is needed: " + (said.detail || "ask who runs this console");
    if (answer.status === 403) return "not allowed: " + (said.detail || "ask who runs this console");
    return said.detail || said.title || `the server said ${answer.status}`;
  }

  async function follow(command, tell, done) {
    for (let asked = 0; ; asked += 1) {
      await pause(ASK_MS[Math.min(asked, ASK_MS.length - 1)]);
      let found = null;
      try {
        const answer = await ask(`${COMMANDS}/${encodeURIComponent(command)}`);
        if (answer.status === 200) found = answer.said;
      } catch {
        continue; // the server is away: it is asked again
      }
      if (found === null || found.status === "pending") continue;
      if (found.status === "applied") tell("applied", "applied");
      else tell("refused", `refused: ${found.explained || found.reason || "no reason was given"}`);
      done();
      document.dispatchEvent(new CustomEvent("leeway:renew"));
      return;
    }
  }

  // Sends a command; gives what is wrong with it, or null.
  async function give(called, said, body, key, tell) {
    let answer = await send(body, key, tell);
    const wanted = theirName(answer);
    if (wanted !== null) {
      // a token stands for a name: nothing was written yet, and it is said in that name
      remember(wanted);
      answer = await send({ ...body, by: wanted }, key, tell);
    }
    if (answer === null || answer.status !== 202) {
      tell("failed", reason(answer));
      return answer === null ? { status: 0, said: null } : answer;
    }
    tell("waits", "sent; it takes effect with the next window that is judged");
    document.dispatchEvent(new CustomEvent("leeway:renew"));
    follow(key, tell, () => underway.delete(said));
    return null;
  }

  function theirName(answer) {
    if (answer === null || answer.status !== 422 || !answer.said) return null;
    const wrong = (answer.said.errors || []).find((one) => one.path === "by");
    return wrong && wrong.expected && wrong.got ? wrong.expected : null;
  }

  // ---- forms

  function read(form) {
    const body = JSON.parse(form.dataset.command);
    for (const entry of form.elements) {
      if (!entry.name || entry.name === "for" || entry.name === "until") continue;
      const value = entry.value.trim();
      if (!value) continue;
      const path = entry.name.split(".");
      const last = path.pop();
      let at = body;
      for (const step of path) at = at[step] = at[step] || {};
      at[last] = value;
    }
    const length = form.elements.namedItem("for");
    if (length) {
      const until = form.elements.namedItem("until").value;
      const end = until ? Date.parse(until + "Z") : Date.now() + 1000 * Number(length.value);
      body.until = Number.isNaN(end) ? "" : new Date(end).toISOString();
    }
    return body;
  }

  function mistakes(form) {
    return Array.from(form.elements, (entry) => [entry, mistake(entry)]).filter(([, text]) => text);
  }

  function mistake(entry) {
    if (entry.required && !entry.value.trim()) return "is needed";
    if (entry.name !== "until" || !(entry.value || entry.validity.badInput)) return "";
    const end = Date.parse(entry.value + "Z");
    if (Number.isNaN(end)) return "is no date and time";
    if (end <= Date.now()) return "is over already";
    return end > Date.now() + LONGEST_MS ? "is later than 30 days from now" : "";
  }

  function clear(form) {
    form.querySelector(".mistake").textContent = "";
    for (const old of form.querySelectorAll(".wrong")) old.remove();
    for (const entry of form.elements) {
      entry.removeAttribute("aria-invalid");
      entry.removeAttribute("aria-describedby");
    }
  }

  let wrongs = 0;
  function blame(entry, text) {
    const line = document.createElement("p");
    line.className = "wrong";
    line.id = `wrong-${(wrongs += 1)}`;
    line.textContent = text;
    entry.closest(".field").append(line);
    entry.setAttribute("aria-invalid", "true");
    entry.setAttribute("aria-describedby", line.id);
  }

  function show(form, found) {
    for (const [entry, text] of found) blame(entry, `This ${text}.`);
    if (found.length) found[0][0].focus();
  }

  // The mistakes that the server found, beside their fields; what has no field stands below.
  function blamed(form, answer) {
    let first = null;
    for (const one of (answer.said && answer.said.errors) || []) {
      const entry = one.path ? form.elements.namedItem(one.path) : null;
      if (!entry || !entry.closest) continue;
      blame(entry, `Expected: ${one.expected}`);
      first = first || entry;
    }
    form.querySelector(".mistake").textContent = reason(answer.status === 0 ? null : answer);
    if (first) first.focus();
  }

  function open(template, opener) {
    const dialog = template.content.firstElementChild.cloneNode(true);
    const form = dialog.querySelector("form");
    let sent = ""; // the form as it was sent, and what became of it: the same is never said under another id
    let key = "";
    let body = null;
    form.elements.namedItem("by").value = named();
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener.isConnected) opener.focus();
    });
    form.querySelector(".back").addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (form.dataset.busy) return;
      clear(form);
      const found = mistakes(form);
      if (found.length) return show(form, found);
      const filled = JSON.stringify(Array.from(new FormData(form)));
      if (filled !== sent) {
        sent = filled;
        key = fresh();
        body = read(form);
        if (body.command === "silence") body.silence_id = key;
      }
      remember(body.by);
      const said = form.dataset.command;
      form.dataset.busy = "true";
      const go = form.querySelector("[type=submit]");
      go.disabled = true;
      underway.add(said);
      const wrong = await give(form.dataset.called, said, body, key, note(form.dataset.called));
      delete form.dataset.busy;
      go.disabled = false;
      if (wrong === null) return dialog.close();
      underway.delete(said);
      // what was refused as a whole was not written: it may be said anew
      if (wrong.status >= 400 && wrong.status < 500) sent = "";
      if (dialog.isConnected) blamed(form, wrong);
    });
    document.body.append(dialog);
    dialog.showModal();
    const first = Array.from(form.elements).find((one) => one.required && !one.value) || form.querySelector("[type=submit]");
    first.focus();
  }

  async function atOnce(form) {
    const said = form.dataset.command;
    underway.add(said);
    const body = { ...JSON.parse(said), by: named() };
    const wrong = await give(form.dataset.called, said, body, fresh(), note(form.dataset.called));
    if (wrong !== null) underway.delete(said);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest(".action > .act");
    if (!button || button.disabled) return;
    const template = button.parentElement.querySelector("template");
    const form = template.content.querySelector("form");
    if (underway.has(form.dataset.command)) return; // it is on its way already
    if ("atOnce" in button.dataset && named()) atOnce(form);
    else open(template, button);
  });
})();
