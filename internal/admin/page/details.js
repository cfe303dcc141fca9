// What is known of one binding, what its address tried last, and its removal.

import { attemptItem, names, retime } from './attempts.js';
import { Errand } from './errand.js';
import { ago, countdown, make, moment, plain, put, show } from './text.js';

const limit = 20;
const byId = (id) => document.getElementById(id);

export class Details {
  #api;
  #table;
  #sheet = byId('details');
  #confirm = byId('confirm');
  #why = new Errand(() => this.#loadWhy(), 1000);
  #key = '';
  #binding;
  #shown = ''; // what the attempts were made of

  constructor(api, table) {
    this.#api = api;
    this.#table = table;
    byId('close').addEventListener('click', () => this.#sheet.close());
    byId('remove').addEventListener('click', () => this.#askToRemove());
    byId('keep').addEventListener('click', () => this.#confirm.close());
    byId('remove-now').addEventListener('click', () => this.#remove());
    this.#sheet.addEventListener('close', () => this.#table.focusOn(this.#key));
    for (const dialog of [this.#sheet, this.#confirm]) dialog.addEventListener('click', closeFromOutside);
  }

  open(key) {
    this.#key = key;
    this.#binding = undefined;
    this.#shown = '';
    byId('why').replaceChildren();
    show(byId('why-note'), 'Loading…');
    show(byId('why-trouble'), '');
    this.refresh();
    this.#sheet.showModal();
    this.#sheet.scrollTop = 0;
    this.#why.askNow();
  }

  // refresh takes over what the table knows now.
  refresh() {
    const binding = this.#table.binding(this.#key);
    byId('gone').hidden = binding !== undefined;
    byId('remove').disabled = binding === undefined;
    if (binding && binding !== this.#binding) this.#show(binding);
    this.tick();
  }

  follow(aor) {
    if (this.#sheet.open && aor === this.#binding?.aor) this.#why.ask();
  }

  tick() {
    if (!this.#binding) return;
    const left = this.#table.secondsLeft(this.#key);
    for (const cell of this.#sheet.querySelectorAll('[data-expires]')) put(cell, countdown(left));
    const seen = ago((this.#api.now() - Date.parse(this.#binding.last_seen)) / 1000);
    for (const cell of this.#sheet.querySelectorAll('[data-seen]')) put(cell, seen);
    retime(byId('why'), this.#api.now());
  }

  #show(binding) {
    this.#binding = binding;
    put(byId('details-aor'), plain(binding.aor));
    byId('details-names').replaceChildren(...names(binding));
    byId('details-fields').replaceChildren(...fields(binding));
  }

  async #loadWhy() {
    const binding = this.#binding;
    if (!this.#sheet.open || !binding) return;
    try {
      const answer = await this.#api.get('why', { q: binding.aor, limit });
      if (binding.aor !== this.#binding.aor) return;
      this.#showWhy(answer.attempts ?? [], answer.note);
      show(byId('why-trouble'), '');
    } catch (error) {
      show(byId('why-note'), '');
      show(byId('why-trouble'), error.message);
    }
  }

  #showWhy(attempts, note) {
    const content = JSON.stringify(attempts);
    if (content !== this.#shown) byId('why').replaceChildren(...attempts.map((attempt) => attemptItem(attempt, this.#api.now())));
    this.#shown = content;
    show(byId('why-note'), attempts.length > 0 ? '' : plain(note) || 'Nothing is remembered of it.');
  }

  #askToRemove() {
    put(byId('confirm-aor'), plain(this.#binding.aor));
    put(byId('confirm-contact'), plain(this.#binding.contact));
    show(byId('confirm-trouble'), '');
    this.#confirm.showModal();
  }

  async #remove() {
    const { aor, id } = this.#binding;
    byId('remove-now').disabled = true;
    try {
      await this.#api.delete(`contacts/${encodeURIComponent(aor)}`, { id });
      this.#removed(aor);
    } catch (error) {
      if (error.status === 404) this.#removed(aor);
      else show(byId('confirm-trouble'), error.message);
    }
    byId('remove-now').disabled = false;
  }

  #removed(aor) {
    this.#table.refreshNow();
    this.#confirm.close();
    this.#sheet.close();
    put(byId('said'), `Removed the binding of ${plain(aor)}.`);
  }
}

// fields returns all but the names.
function fields(binding) {
  return [
    field('Contact', binding.contact, 'sent'),
    field('Parameters', binding.params, 'sent'),
    field('Came from', `${binding.source} ${binding.transport}`, 'sent'),
    field('Behind NAT', binding.nat ? 'yes: reached by the way that it came, alone' : ''),
    field('Path', binding.path, 'sent'),
    field('Answers', answers(binding), 'sent'),
    field('User-Agent', binding.user_agent, 'sent'),
    field('Expires in', ' ', 'number', { expires: '' }, moment(binding.expires)),
    field('Last seen', ' ', 'number', { seen: '' }, moment(binding.last_seen)),
    field('Instance', binding.instance, 'sent'),
    field('Push', push(binding.push), 'sent'),
    field('Preference q', binding.q, 'sent'),
    field('Call-ID', binding.call_id, 'sent'),
    field('CSeq', binding.cseq, 'number'),
  ].filter((group) => group !== null);
}

// answers says whether the phone did when it was last asked.
function answers({ reachable, rtt_ms: ms }) {
  if (reachable === undefined) return '';
  return reachable === 'yes' ? `after ${ms ?? 0} ms` : 'no: it is unreachable';
}

const shownOfToken = 8; // letters

// push names the service that wakes a phone, and the beginning of its token there.
function push({ provider, param = '', token = '' } = {}) {
  if (provider === undefined) return '';
  const letters = [...token];
  const short = letters.length > shownOfToken ? `${letters.slice(0, shownOfToken).join('')}…` : token;
  return [provider, param, short && `token ${short}`].filter((part) => part !== '').join(', ');
}

function field(caption, value, className, data = {}, more = '') {
  if (value === undefined || value === '') return null;
  const group = make('div');
  const cell = make('dd');
  const text = make('span', className, plain(value));
  Object.assign(text.dataset, data);
  cell.append(text);
  if (more) cell.append(' ', make('small', '', more));
  group.append(make('dt', '', caption), cell);
  return group;
}

// closeFromOutside closes a dialog by a click beside it.
function closeFromOutside(event) {
  if (event.target !== event.currentTarget) return;
  const box = event.currentTarget.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside) event.currentTarget.close();
}
