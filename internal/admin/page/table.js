// The table of bindings. The server searches and orders; what is here is the
// first page, or some, and follows the events.

import { Errand } from './errand.js';
import { ago, count, countdown, moment, plain, put, putURI, show } from './text.js';

const page = 200; // bindings
const most = 1000; // rows; beyond, only a search helps
const almost = 10_000; // milliseconds before it expires
const few = 8; // AORs that are asked for one by one

export class Table {
  #api;
  #open;
  #element = document.getElementById('table');
  #body = document.getElementById('rows');
  #matches = document.getElementById('matches');
  #more = document.getElementById('more');
  #trouble = document.getElementById('table-trouble');
  #rows = new Map(); // by key, in the order of the table
  #changed = new Set(); // AORs
  #limit = page;
  #total = 0;
  #next = '';
  #settled = false; // what is new from here on has just happened
  #singles = 0; // how often an AOR was loaded by itself
  #whole = new Errand(() => this.#load(), 1000);
  #some = new Errand(() => this.#loadChanged(), 200);
  #query = '';
  onChange = () => {};

  // open is called with the binding whose row was chosen.
  constructor(api, open) {
    this.#api = api;
    this.#open = open;
    this.#more.addEventListener('click', () => this.#showMore());
    this.#body.addEventListener('click', (event) => this.#choose(event));
    this.#body.addEventListener('keydown', (event) => this.#move(event));
    this.#body.addEventListener('focusin', (event) => this.#makeCurrent(event.target.closest('button')));
  }

  get query() {
    return this.#query;
  }

  get size() {
    return this.#rows.size;
  }

  search(query) {
    this.#query = query;
    this.#limit = page;
    this.#settled = false;
    this.#element.ariaBusy = 'true';
    this.#whole.askNow();
  }

  refresh() {
    this.#whole.ask();
  }

  refreshNow() {
    this.#whole.askNow();
  }

  // follow brings an AOR up to date, by itself where that is cheap.
  follow(aor) {
    this.#changed.add(aor);
    if (this.#query !== '' || this.#changed.size > few) {
      this.#changed.clear();
      this.#whole.ask();
    } else {
      this.#some.ask();
    }
  }

  // binding returns the current state of a binding, or undefined if it is gone.
  binding(key) {
    return this.#rows.get(key)?.binding;
  }

  // secondsLeft returns how long a binding still holds.
  secondsLeft(key) {
    const row = this.#rows.get(key);
    return row ? (row.deadline - performance.now()) / 1000 : 0;
  }

  focus() {
    (this.#current() ?? this.#buttons()[0])?.focus();
  }

  // focusOn goes back to a row, or to what is in its place.
  focusOn(key) {
    const row = this.#rows.get(key);
    row ? row.button.focus() : this.focus();
  }

  // tick brings times up to date. A binding that is about to expire was
  // refreshed meanwhile, as a rule.
  tick() {
    const now = performance.now();
    const serverNow = this.#api.now();
    for (const row of this.#rows.values()) {
      row.tick(now, serverNow);
      if (row.isDue(now)) this.follow(row.binding.aor);
    }
  }

  async #load() {
    const query = this.#query;
    const singles = this.#singles;
    try {
      const answer = await this.#api.get('contacts', { q: query, limit: this.#limit });
      if (query !== this.#query) return;
      show(this.#trouble, '');
      this.#element.ariaBusy = 'false';
      this.#total = answer.total;
      this.#next = answer.next ?? '';
      this.#show(answer.contacts ?? []);
      this.#settled = true;
      if (singles !== this.#singles) this.#whole.ask(); // what came meanwhile may be newer than the answer
    } catch (error) {
      show(this.#trouble, error.message);
      this.#element.ariaBusy = 'false';
      this.onChange();
    }
  }

  async #loadChanged() {
    const aors = [...this.#changed];
    this.#changed.clear();
    try {
      for (const aor of aors) await this.#loadAOR(aor);
      this.#render();
    } catch (error) {
      if (error.status !== 0) this.#whole.ask();
    }
  }

  async #loadAOR(aor) {
    const fresh = await this.#ofAOR(aor);
    if (this.#query !== '') return; // somebody began to search meanwhile
    this.#singles++;
    const others = [...this.#rows.values()].map((row) => row.binding);
    const before = others.filter((binding) => binding.aor < aor);
    const after = others.filter((binding) => binding.aor > aor);
    this.#total += fresh.length + before.length + after.length - others.length;
    if (this.#next !== '' && after.length === 0) fresh.length = 0; // on a page that is not here
    this.#show([...before, ...fresh, ...after].slice(0, this.#limit));
  }

  async #ofAOR(aor) {
    try {
      return (await this.#api.get(`contacts/${encodeURIComponent(aor)}`)).contacts ?? [];
    } catch (error) {
      if (error.status === 404) return [];
      throw error;
    }
  }

  // #show makes the table one of those bindings, and keeps the rows that are
  // there, with the focus that is in them.
  #show(bindings) {
    const wanted = new Map(bindings.map((binding) => [binding.id, binding]));
    const place = this.#buttons().indexOf(document.activeElement);
    for (const [key, row] of this.#rows) if (!wanted.has(key)) row.element.remove();
    const rows = new Map();
    let before = this.#body.firstElementChild;
    for (const [key, binding] of wanted) {
      const row = this.#rows.get(key) ?? new Row(this.#settled);
      row.show(binding, key);
      rows.set(key, row);
      if (row.element === before) before = before.nextElementSibling;
      else this.#body.insertBefore(row.element, before);
    }
    this.#rows = rows;
    if (place >= 0 && !this.#body.contains(document.activeElement)) this.#focusAt(place);
    if (!this.#current()) this.#makeCurrent(this.#buttons()[0]);
    this.#render();
  }

  #render() {
    this.tick();
    const rest = this.#total > this.#rows.size;
    this.#more.hidden = !rest || this.#limit >= most;
    this.#element.hidden = this.#rows.size === 0;
    put(this.#matches, this.#count(rest));
    this.onChange();
  }

  #count(rest) {
    if (rest) {
      const all = `${count(this.#rows.size)} of ${count(this.#total)}`;
      return this.#limit >= most ? `${all}: search for the others` : all;
    }
    return this.#query && this.#total > 0 ? `${count(this.#total)} found` : '';
  }

  #showMore() {
    this.#limit = Math.min(most, this.#limit + page);
    this.#settled = false;
    this.#whole.askNow();
  }

  #choose(event) {
    const isSelecting = !event.target.closest('button') && !getSelection().isCollapsed; // text to copy
    const element = event.target.closest('tr');
    if (element && !isSelecting) this.#open(element.dataset.key);
  }

  #move(event) {
    const buttons = this.#buttons();
    const at = buttons.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (to < 0) document.getElementById('query').focus();
    else buttons[Math.min(to, buttons.length - 1)].focus();
  }

  #buttons() {
    return [...this.#body.querySelectorAll('button')];
  }

  #focusAt(place) {
    const buttons = this.#buttons();
    const button = buttons[Math.min(place, buttons.length - 1)] ?? document.getElementById('query');
    button.focus();
  }

  #current() {
    return this.#body.querySelector('button[tabindex="0"]');
  }

  // #makeCurrent makes a row the one that Tab goes to.
  #makeCurrent(button) {
    if (!button) return;
    for (const other of this.#body.querySelectorAll('button[tabindex="0"]')) other.tabIndex = -1;
    button.tabIndex = 0;
  }
}

const template = document.getElementById('row');

// Row shows a binding.
class Row {
  element = template.content.firstElementChild.cloneNode(true);
  button = this.element.querySelector('button');
  #isLooked = false; // whether it was refreshed
  #cells = Object.fromEntries(['authname', 'label', 'uri', 'from', 'phone', 'expires', 'seen']
    .map((name) => [name, this.element.querySelector(`.${name}`)]));

  constructor(isNew) {
    this.button.tabIndex = -1;
    this.element.classList.toggle('new', isNew);
  }

  show(binding, key) {
    if (binding === this.binding) return;
    this.binding = binding;
    this.deadline = performance.now() + binding.expires_in * 1000;
    this.#isLooked = false;
    this.element.dataset.key = key;
    put(this.button, plain(binding.aor));
    put(this.#cells.authname, plain(binding.authname));
    put(this.#cells.label, plain(binding.label));
    putURI(this.#cells.uri, plain(binding.contact));
    put(this.#cells.from, plain(`${binding.source} ${binding.transport}${binding.reachable === 'no' ? ', no answer' : ''}`));
    put(this.#cells.phone, plain(binding.user_agent) || '–');
    this.#cells.seen.title = moment(binding.last_seen);
    this.#cells.expires.title = moment(binding.expires);
  }

  // isDue tells once for a binding that its time is almost over.
  isDue(now) {
    if (this.#isLooked || this.deadline - now > almost) return false;
    this.#isLooked = true;
    return true;
  }

  tick(now, serverNow) {
    const left = (this.deadline - now) / 1000;
    put(this.#cells.expires, countdown(left));
    put(this.#cells.seen, ago((serverNow - Date.parse(this.binding.last_seen)) / 1000));
    this.#cells.expires.classList.toggle('soon', left < 60);
  }
}
