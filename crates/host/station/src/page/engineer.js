// SPDX-License-Identifier: Apache-2.0

// The engineer's page: takes its sections anew when the ledger has grown, and says when it is not live.
"use strict";

// Three beats of the station (server.rs), and how often a page is taken anew at most.
const STALE = 7000;
const REST = 4000;

const body = document.body;
const byId = (id) => document.getElementById(id);
const live = document.querySelector("[data-live]") !== null;
// The station has escaped all text in its pages. Nothing else is made into markup.
const policy = window.trustedTypes?.createPolicy("station", { createHTML: (html) => html });
const parsed = (html) => new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");

let source = null;
let last = Date.now();
let wanted = false;
let taken = 0;

function alive() {
  last = Date.now();
  body.dataset.link = "live";
  if (byId("link").textContent !== "Live") byId("link").textContent = "Live";
  byId("stale").hidden = true;
}

function connect() {
  source = new EventSource("engineer/events");
  source.addEventListener("start", (event) => {
    if (event.data !== body.dataset.start) location.reload();
  });
  source.addEventListener("beat", alive);
  source.addEventListener("ledger", () => {
    alive();
    wanted = true;
  });
}

async function take() {
  wanted = false;
  taken = Date.now();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = parsed(await answer.text());
  // A long ledger is read in pieces, one with each page.
  if (page.querySelector("[data-partial]")) wanted = true;
  for (const section of document.querySelectorAll("[data-live]")) {
    const next = page.getElementById(section.id);
    // Nobody loses the place where the keyboard is.
    if (next && !section.contains(document.activeElement)) section.replaceWith(document.adoptNode(next));
  }
}

// For how long a hub is gone.
setInterval(() => {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.dataset.since)) / 60000);
    const text = minutes < 1 ? "" : minutes < 60 ? ` (${minutes} min)` : ` (${Math.floor(minutes / 60)} h)`;
    if (time.textContent !== text) time.textContent = text;
  }
}, 500);

if (live) {
  connect();
  setInterval(() => {
    if (wanted && Date.now() - taken > REST) take().catch(() => { wanted = true; });
    if (Date.now() - last > STALE) {
      body.dataset.link = "lost";
      byId("link").textContent = "Not live";
      const text = `Not live since ${new Date(last).toLocaleTimeString()}: these are the figures of then.`;
      if (byId("stale").hidden) {
        byId("stale").textContent = text;
        byId("stale").hidden = false;
      }
    }
    if (source.readyState === EventSource.CLOSED && Date.now() - last > STALE) {
      source.close();
      connect();
    }
  }, 500);
} else {
  byId("link").hidden = true;
}
