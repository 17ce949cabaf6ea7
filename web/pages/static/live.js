// Keeps an open page true: when something changes (server-sent events of the API), the page is asked for again, at most once in two
// seconds, and what differs is put in its place by id. Rules:
//   1. Only what is marked data-live is replaced, and nothing that is typed into, open or chosen in. A row that is selected stays so, and
//      what has the focus keeps it.
//   2. Rows of [data-rows] are replaced one by one. Where they came in another order, nothing moves: "Changed, show" is offered.
//   3. A hidden page listens to nothing; when it is looked at again it is refreshed.
//   4. A page that has lost its stream says since when.
"use strict";
const every = 2000, patience = 20000;
let source = null, waiting = 0, last = 0, lastID = "", lostAt = null, busy = false, again = false;

function clock(d) { return d.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }); }

// lost says since when the page is not live: in the place of its clock, or at its edge.
function lost() {
  if (lostAt) return;
  lostAt = new Date();
  const note = document.createElement("p");
  note.className = "notlive lost";
  note.setAttribute("role", "status");
  note.textContent = `Not live since ${clock(lostAt)}`;
  document.body.append(note);
}
// signedOut says that the session has ended: what is done on the page would be refused.
function signedOut() {
  lost();
  const note = document.querySelector(".notlive.lost"), a = document.createElement("a");
  if (!note || note.querySelector("a")) return;
  a.href = "/login?next=" + encodeURIComponent(location.pathname + location.search);
  a.textContent = "Sign in again";
  note.textContent = "You are not signed in any more. ";
  note.append(a);
}
function found() {
  lostAt = null;
  document.querySelector(".notlive.lost")?.remove();
}

// inUse is what somebody types into, has opened, or has chosen in.
const inUse = (e) => e.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), select, textarea, summary") ||
  e.querySelector("details[open], :checked:not(option, [name=id], [data-all]), :popover-open") !== null;

// handle finds the same link, button or checkbox in what takes the place of its row.
function handle(a) {
  const is = (name) => a.hasAttribute(name) ? `[${name}="${CSS.escape(a.getAttribute(name))}"]` : "";
  return a.id ? "#" + CSS.escape(a.id) : a.localName + is("name") + is("value") + is("href");
}

function put(old, fresh) {
  if (old.outerHTML === fresh.outerHTML || inUse(old)) return false;
  const text = old.textContent.replace(/\s+/g, " ") !== fresh.textContent.replace(/\s+/g, " ");
  const node = document.importNode(fresh, true);
  if (text && !old.matches(".self, [data-live-state]")) node.classList.add("changed");
  for (const c of old.querySelectorAll("[name=id]:checked")) { // what is selected stays so
    const same = node.querySelector(`[name=id][value="${CSS.escape(c.value)}"]`);
    if (same) same.checked = true;
  }
  const focused = old.contains(document.activeElement) && old !== document.activeElement ? handle(document.activeElement) : "";
  old.replaceWith(node);
  if (focused) node.querySelector(focused)?.focus({ preventScroll: true });
  if (window.htmx) htmx.process(node);
  return true;
}

const ids = (e) => [...e.children].map((c) => c.id).join(" ");

function merge(page) {
  document.title = page.title;
  const icon = document.querySelector("link[rel=icon]"), freshIcon = page.querySelector("link[rel=icon]");
  if (icon && freshIcon && icon.href !== freshIcon.href) icon.href = freshIcon.href;
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(old.getAttribute("id")); // a form's own id may be one of its fields
    if (!fresh) continue;
    const rows = old.querySelector("[data-rows]"), freshRows = fresh.querySelector("[data-rows]");
    if (!rows || !freshRows) { put(old, fresh); continue; }
    if (ids(rows) === ids(freshRows)) {
      [...rows.children].forEach((row, i) => put(row, freshRows.children[i]));
      continue;
    }
    if (!old.matches(":hover") && !inUse(old) && !old.querySelector("[name=id]:checked")) { put(old, fresh); continue; }
    const before = new Set([...rows.children].map((c) => c.id + c.textContent));
    const n = [...freshRows.children].filter((c) => !before.has(c.id + c.textContent)).length || 1;
    let note = old.querySelector(".waits");
    if (!note) {
      note = document.createElement("button");
      note.type = "button";
      note.className = "btn waits";
      rows.before(note);
    }
    note.textContent = `${n} changed, show`;
    note.onclick = () => {
      const node = document.importNode(fresh, true);
      old.replaceWith(node);
      if (window.htmx) htmx.process(node);
      node.querySelector("[data-rows] a")?.focus({ preventScroll: true });
    };
  }
  document.dispatchEvent(new Event("keyrounds:live"));
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  last = Date.now();
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), patience);
  try {
    const r = await fetch(location.href, { headers: { "Keyrounds-Live": "1" }, signal: stop.signal, redirect: "manual", cache: "no-store" });
    if (r.type === "opaqueredirect") { signedOut(); hush(); return; }
    if (!r.ok) throw new Error(r.statusText);
    merge(new DOMParser().parseFromString(await r.text(), "text/html"));
    found();
  } catch { lost(); } finally {
    clearTimeout(timer);
    busy = false;
  }
  if (again) { again = false; soon(); }
}
function soon() {
  if (waiting || document.hidden) return;
  waiting = setTimeout(() => { waiting = 0; refresh(); }, Math.max(100, every - (Date.now() - last)));
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource("/api/v1/events" + (lastID ? "?last_event_id=" + lastID : ""));
  source.addEventListener("open", () => { found(); });
  source.addEventListener("change", (e) => { lastID = e.lastEventId; soon(); });
  source.addEventListener("error", () => {
    lost();
    if (source && source.readyState === EventSource.CLOSED) { source = null; soon(); setTimeout(listen, 15000); }
  });
}
function hush() { source?.close(); source = null; clearTimeout(waiting); waiting = 0; }

document.addEventListener("visibilitychange", () => { if (document.hidden) hush(); else { listen(); soon(); } });
addEventListener("pagehide", hush);
addEventListener("pageshow", () => { listen(); });
listen();
setInterval(() => { if (!document.hidden) soon(); }, 60000); // also where nothing says that something changed: time does
