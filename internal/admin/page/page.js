// The page: its parts, and what makes them look anew.

import { API } from './api.js';
import { Details } from './details.js';
import { Errand } from './errand.js';
import { Failures } from './failures.js';
import { Stats } from './stats.js';
import { Stream } from './stream.js';
import { Table } from './table.js';
import { plain, put, show } from './text.js';
import { askForToken } from './token.js';

const byId = (id) => document.getElementById(id);
const seldom = 60_000; // milliseconds; refreshes, and challenges that nobody answers, make no events here
const often = 10_000; // a reload that fails, a store or a webhook that does, make none either
const failing = new Set(['refused', 'expired', 'unreachable', 'reachable']); // events that tell of failures, or that one is over

const api = new API(askForToken);
const table = new Table(api, (key) => details.open(key));
const details = new Details(api, table);
const failures = new Failures(api);
const stats = new Stats(api);
const failuresErrand = new Errand(() => failures.refresh(), 1000);
const statsErrand = new Errand(() => stats.refresh().then(showState), 1000);

function refreshAll() {
  table.refreshNow();
  failuresErrand.askNow();
  statsErrand.askNow();
}

table.onChange = () => {
  details.refresh();
  showState();
};

// showState says what an empty table means.
function showState() {
  const empty = table.size === 0;
  byId('loading').hidden = !empty || byId('table').ariaBusy !== 'true' || !byId('table-trouble').hidden;
  const first = empty && table.query === '' && byId('loading').hidden && byId('table-trouble').hidden;
  byId('first').hidden = !first;
  if (first) put(byId('first-server'), location.hostname);
  show(byId('none-match'), empty && table.query !== '' && byId('loading').hidden ? `No binding matches “${plain(table.query)}”.` : '');
}

// The live part.

function take(event) {
  if (event.aor && event.event !== 'refused') table.follow(event.aor);
  if (failing.has(event.event)) failuresErrand.ask();
  if (event.aor) details.follow(event.aor);
  statsErrand.ask();
}

let retryAt = 0; // performance.now() of the next try to connect, 0: connected

function showLink() {
  const link = byId('link');
  const seconds = Math.ceil((retryAt - performance.now()) / 1000);
  link.dataset.state = retryAt === 0 ? 'live' : 'lost';
  put(link, retryAt === 0 ? 'Live' : seconds > 0 ? `Connection lost, next try in ${seconds} s` : 'Connection lost, trying');
}

const stream = new Stream(api, {
  open() {
    retryAt = 0;
    showLink();
    refreshAll();
  },
  event: take,
  missed: refreshAll,
  lost(seconds) {
    retryAt = performance.now() + seconds * 1000;
    showLink();
  },
});

// The search. It stands in the hash, so that it can be kept as a bookmark.

const query = byId('query');

function hashQuery() {
  return new URLSearchParams(location.hash.slice(1)).get('q') ?? '';
}

function search(text) {
  if (text === table.query) return;
  const hash = text ? `#${new URLSearchParams({ q: text })}` : location.pathname + location.search;
  if (hashQuery() !== text) history.replaceState(null, '', hash);
  failures.query = text;
  table.search(text);
  failuresErrand.askNow();
}

let typing;

query.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => search(query.value.trim()), 200);
});

byId('search').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(typing);
  search(query.value.trim());
});

query.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown') {
    event.preventDefault();
    table.focus();
  } else if (event.key === 'Escape') {
    event.preventDefault();
    query.value = '';
    clearTimeout(typing);
    search('');
  }
});

addEventListener('hashchange', () => {
  query.value = hashQuery();
  search(query.value);
});

document.addEventListener('keydown', (event) => {
  if (document.querySelector('dialog[open]') || event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target === query;
  if (event.key === '/' && !writing) {
    event.preventDefault();
    query.select();
    query.focus();
  } else if (event.key === 'Escape' && !writing) {
    query.focus();
  }
});

// Time.

setInterval(() => {
  if (document.hidden) return;
  table.tick();
  details.tick();
  stats.tick();
  failures.retime();
  if (retryAt !== 0) showLink();
}, 1000);

setInterval(() => document.hidden || refreshSeldom(), seldom);

function refreshSeldom() {
  table.refresh();
  failuresErrand.ask();
}

setInterval(() => document.hidden || statsErrand.ask(), often);

document.addEventListener('visibilitychange', () => document.hidden || refreshAll());

query.value = hashQuery();
search(query.value);
refreshAll();
stream.run();
