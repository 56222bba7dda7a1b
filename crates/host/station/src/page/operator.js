// SPDX-License-Identifier: Apache-2.0

// The operator's page: takes what the station sends, sounds when a part has failed, and says when it is not live.
"use strict";

// Three beats of the station (server.rs).
const STALE = 3000;
const RETRY = 2000;
const SOUND_EVERY = 2500;

const body = document.body;
const byId = (id) => document.getElementById(id);
// The station has escaped all text in what it sends. Nothing else is made into markup.
const policy = window.trustedTypes?.createPolicy("station", { createHTML: (html) => html });
const parsed = (html) => {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  return template.content;
};

let source = null;
let last = Date.now();
let over = false;
// What has come while the page is taken anew.
let waiting = null;

function setLink(state, text) {
  if (body.dataset.link !== state) {
    body.dataset.link = state;
    byId("link").textContent = text;
  }
}

function alive() {
  last = Date.now();
  if (!over) {
    setLink("live", "Live");
    byId("stale").hidden = true;
  }
}

function stale(state, text) {
  setLink(state, "Not live");
  if (byId("stale").textContent !== text || byId("stale").hidden) {
    byId("stale").textContent = text;
    byId("stale").hidden = false;
  }
}

function connect() {
  source = new EventSource("events");
  source.addEventListener("start", (event) => {
    // After another start of the station there are other ports.
    if (event.data !== body.dataset.start) renew();
  });
  source.addEventListener("beat", alive);
  source.addEventListener("line", (event) => {
    alive();
    show(event.data);
  });
  source.addEventListener("end", (event) => {
    alive();
    show(event.data);
    over = true;
    const time = new Date().toLocaleTimeString();
    stale("over", `The batch is over since ${time}. This is how it ended.`);
  });
}

setInterval(() => {
  if (Date.now() - last > STALE && !over) {
    const time = new Date(last).toLocaleTimeString();
    stale("lost", `NOT LIVE since ${time}: this is how it was. Look at the station.`);
  }
  // The browser tries again by itself unless it was told not to.
  if (source.readyState === EventSource.CLOSED && Date.now() - last > RETRY) {
    last = Math.min(last, Date.now() - STALE);
    source.close();
    connect();
  }
  for (const time of document.querySelectorAll(".age time")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
    const text = minutes < 1 ? "" : minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}, 500);

// Takes the page anew, without loading it: a page that was loaded makes no sound until somebody clicks again.
async function renew() {
  if (waiting !== null) return;
  waiting = [];
  for (const port of unacknowledged()) missed.add(port.dataset.name);
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(answer.statusText);
    const html = await answer.text();
    const page = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
    for (const part of ["header", ".middle"]) {
      document.querySelector(part).replaceWith(document.adoptNode(page.querySelector(part)));
    }
    document.title = page.title;
    body.dataset.start = page.body.dataset.start;
    body.dataset.link = "opening";
    over = false;
    begin();
    alive();
    // What has happened meanwhile, in its order: the page may be older than it.
    const happened = waiting;
    waiting = null;
    happened.forEach(show);
  } catch {
    setTimeout(() => location.reload(), RETRY);
  }
}

function show(html) {
  if (waiting !== null) {
    waiting.push(html);
    return;
  }
  for (const piece of [...parsed(html).children]) {
    const old = byId(piece.id);
    if (!old) {
      // A port that was not there.
      renew();
      return;
    }
    if (piece.classList.contains("port")) {
      changed(old, piece);
    }
    old.replaceWith(piece);
  }
  alarm();
}

// Failures that nobody has acknowledged, by port: how many runs had failed when the last one was.
const acknowledged = new Map();
const failures = (port) => Number(port.dataset.failed);
const ports = () => [...document.querySelectorAll(".port")];
// Those of an earlier run of the station, by the names of their ports.
const missed = new Set();

function begin() {
  acknowledged.clear();
  // A page that is opened while a part that has failed is on a port says so.
  for (const port of ports()) {
    acknowledged.set(port.id, failures(port) - (port.dataset.state === "fail" ? 1 : 0));
  }
  alarm();
}

const unacknowledged = () => ports().filter((port) => failures(port) > acknowledged.get(port.id));

function changed(old, piece) {
  const { state, name } = piece.dataset;
  if (state === old.dataset.state && failures(piece) === failures(old)) return;
  const text = [name, ...[...piece.querySelectorAll(".word, .serial, .text, .note")].map((part) => part.textContent)].join(": ");
  if (failures(piece) > failures(old)) byId("alarm").textContent = text;
  else if (["pass", "known", "asked", "lost", "given-up"].includes(state)) byId("spoken").textContent = text;
}

function alarm() {
  const failed = unacknowledged();
  for (const port of ports()) port.classList.toggle("alarm", failed.includes(port));
  const names = failed.map((port) => {
    const gone = port.dataset.state === "fail" ? "" : " (earlier part)";
    return `${port.dataset.name}${gone}`;
  });
  for (const name of missed) {
    if (!failed.some((port) => port.dataset.name === name)) names.push(`${name} (earlier part)`);
  }
  const which = names.length > 8 ? `${names.length} ports` : names.join(", ");
  byId("failed-ports").textContent = names.length > 0 ? `Failed: ${which}` : "No failure to acknowledge";
  const button = byId("acknowledge");
  const begins = button.disabled && names.length > 0;
  byId("unacknowledged").classList.toggle("alarm", names.length > 0);
  button.disabled = names.length === 0;
  if (begins) {
    sound();
    // One key is enough, where nobody is about to press another button.
    if (document.activeElement === document.body) button.focus();
  }
}

byId("acknowledge").addEventListener("click", () => {
  for (const port of ports()) acknowledged.set(port.id, failures(port));
  missed.clear();
  byId("alarm").textContent = "";
  alarm();
});

// Sound. A browser makes none until somebody has clicked or typed something, or it was set up to.
const audio = new AudioContext();
audio.addEventListener("statechange", showSound);

function sounds() {
  return audio.state === "running";
}

function showSound() {
  const on = sounds();
  const button = byId("sound");
  button.setAttribute("aria-pressed", String(on));
  const text = on ? "Sound is on" : "Sound is off: turn on";
  if (button.textContent !== text) button.textContent = text;
}

byId("sound").addEventListener("click", async () => {
  if (sounds()) {
    await audio.suspend();
  } else {
    await audio.resume();
    beep(880, 0, 0.15);
  }
  showSound();
});

function beep(frequency, after, length) {
  const [tone, volume] = [audio.createOscillator(), audio.createGain()];
  const begin = audio.currentTime + after;
  tone.type = "square";
  tone.frequency.value = frequency;
  volume.gain.setValueAtTime(0.25, begin);
  volume.gain.setTargetAtTime(0, begin + length, 0.02);
  tone.connect(volume).connect(audio.destination);
  tone.start(begin);
  tone.stop(begin + length + 0.2);
}

function sound() {
  if (sounds() && !byId("acknowledge").disabled) {
    beep(660, 0, 0.25);
    beep(440, 0.3, 0.45);
    body.dataset.sounded = String(Number(body.dataset.sounded ?? 0) + 1);
  }
}

setInterval(() => {
  sound();
  showSound();
}, SOUND_EVERY);

showSound();
begin();
connect();
