// What plain HTML cannot do: keys, what is selected, the theme without a reload, the reader's zone, times that go on. Pages work without it.
"use strict";
const body = document.body;

// The reader's zone is the server's business from the next page on; on this one times are mended here.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
if (!document.cookie.includes("keyrounds_zone=" + encodeURIComponent(zone))) {
  document.cookie = "keyrounds_zone=" + encodeURIComponent(zone) + "; path=/; max-age=31536000; samesite=lax" + (location.protocol === "https:" ? "; secure" : "");
}

function distance(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  const text = s < 120 ? `${s} s` : s < 7200 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
  return ms < 0 ? `in ${text}` : s < 1 ? "now" : `${text} ago`;
}
// The page's clock is the server's.
const skew = Date.now() - Date.parse(document.querySelector("[data-now]")?.dataset.now ?? new Date().toISOString());
function tick() {
  const now = Date.now() - skew;
  for (const t of document.querySelectorAll("time:not([data-fixed])")) {
    const text = distance(now - Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  }
}
setInterval(() => { if (!document.hidden) tick(); }, 15000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });

document.addEventListener("click", (e) => {
  const close = e.target.closest("[data-dismiss]");
  if (close) close.closest(".toast").hidden = true;
  for (const d of document.querySelectorAll("details.pick[open]")) if (!d.contains(e.target)) d.open = false;
});

// The theme changes at once; the form tells the server.
document.addEventListener("submit", (e) => {
  const theme = e.submitter?.name === "theme" ? e.submitter.value : "";
  if (!theme) return;
  e.preventDefault();
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
  for (const b of e.target.querySelectorAll("button")) b.setAttribute("aria-pressed", String(b.value === theme));
  fetch("/theme", { method: "POST", body: new URLSearchParams({ theme }), redirect: "manual" });
  document.dispatchEvent(new Event("keyrounds:theme"));
});

// A place is for whoever sees it in the navigation.
const has = (path) => document.querySelector(`.side a[href="${path}"]`) !== null;
let lastKey = "";
const keys = !("noKeys" in body.dataset);
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") for (const d of document.querySelectorAll("details.pick[open]")) { d.open = false; d.firstElementChild.focus(); }
  if (!keys || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input:not([type=checkbox],[type=radio]), textarea, select")) return;
  const before = lastKey;
  lastKey = e.key;
  if (e.key === "/") {
    e.preventDefault();
    const search = document.querySelector("#q");
    if (search) { search.focus(); search.select(); } else if (has("/credentials")) location.href = "/credentials?focus=q";
  }
  const go = { o: ["/", "/mine"], f: ["/findings"], c: ["/credentials", "/mine"] }[e.key]?.find(has);
  if (before === "g" && go) { location.href = go; return; }
  if (e.key === "j" || e.key === "k") {
    const rows = [...document.querySelectorAll(".tbl tbody th a, .need h3 a")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === "j" ? 1 : -1)))]?.focus();
  }
  if (e.key === "x") document.activeElement.closest("tr, .need")?.querySelector("input[name=id]")?.click();
  if (e.key === "a") {
    const one = document.activeElement.closest(".need, tr, main")?.querySelector("[name=ack]");
    const all = document.querySelectorAll("main [name=ack]"); // nothing is chosen: the page may be about one
    (one ?? (document.activeElement === body && all.length === 1 ? all[0] : null) ?? document.querySelector("[data-bulk]:has([name=id]:checked) .bulk [value=acknowledge]"))?.click();
  }
  if (e.key === "?") document.querySelector("#keys")?.togglePopover();
});

document.addEventListener("change", (e) => {
  const form = e.target.closest("form[data-bulk]");
  if (!form || e.target.type !== "checkbox") return;
  if (e.target.matches("[data-all]")) for (const c of form.querySelectorAll("input[name=id]")) c.checked = e.target.checked;
  const n = [...form.querySelectorAll("input[name=id]:checked")].reduce((sum, c) => sum + Number(c.dataset.n ?? 1), 0);
  form.querySelector("[data-count]").textContent = n === 0 ? "Nothing selected" : `${n} selected`;
});

// Messages of earlier versions lead to a place on the overview.
const told = /^#finding-(\d+)$/.exec(location.hash);
if (told && location.pathname === "/") location.replace("/findings/" + told[1]);

// A link to a search puts the reader into it.
if (new URLSearchParams(location.search).get("focus") === "q") document.querySelector("#q")?.focus();
