// The recent failures: those of everybody, or those that a search is about.

import { attemptItem, retime } from './attempts.js';
import { plain, put, show } from './text.js';

const limit = 50;
const few = 6; // that are shown at first
const fields = ['aor', 'authname', 'label', 'src_ip', 'user_agent', 'contact', 'reason', 'cause', 'cure', 'detail'];

export class Failures {
  #api;
  #list = document.getElementById('failures');
  #none = document.getElementById('no-failures');
  #title = document.getElementById('failures-title');
  #jump = document.getElementById('jump'); // shown where the failures stand below the bindings
  #button = document.getElementById('all-failures');
  #trouble = document.getElementById('failures-trouble');
  #said = document.getElementById('said');
  #attempts = [];
  #shown = ''; // what the list was made of
  #newest = null; // seq of the last failure of all
  #all = false;
  query = '';

  constructor(api) {
    this.#api = api;
    this.#button.addEventListener('click', () => this.#toggle());
    this.#jump.addEventListener('click', (event) => this.#go(event));
  }

  // refresh asks for the failures. It never fails: it says what is wrong.
  async refresh() {
    const query = this.query;
    try {
      const [last, named] = await Promise.all([
        this.#api.get('why', { limit }),
        query ? this.#api.get('why', { q: query, limit }) : { attempts: [] },
      ]);
      if (query !== this.query) return;
      this.#take(query, last.attempts ?? [], named);
      show(this.#trouble, '');
    } catch (error) {
      show(this.#trouble, error.message);
    }
  }

  retime() {
    retime(this.#list, this.#api.now());
  }

  #take(query, last, named) {
    this.#announce(last.filter((attempt) => attempt.failed));
    const found = new Map((named.attempts ?? []).map((attempt) => [attempt.seq, attempt]));
    for (const attempt of last) if (matches(attempt, query)) found.set(attempt.seq, attempt);
    this.#attempts = [...found.values()].filter((attempt) => attempt.failed).sort((a, b) => b.seq - a.seq).slice(0, limit);
    show(this.#none, this.#attempts.length > 0 ? '' : nothing(query, named.note));
    this.#render();
  }

  // #announce says a failure that is new to those who do not see it.
  #announce(failures) {
    const newest = failures.reduce((a, b) => (b.seq > a ? b.seq : a), 0);
    const fresh = failures.find((attempt) => attempt.seq === newest);
    if (this.#newest !== null && newest > this.#newest) put(this.#said, `New failure: ${plain(fresh.cause)}`);
    this.#newest = Math.max(this.#newest ?? 0, newest);
  }

  #toggle() {
    this.#all = !this.#all;
    this.#render();
  }

  // #go does what the link says and leaves the hash alone: the search stands there.
  #go(event) {
    event.preventDefault();
    this.#title.focus({ preventScroll: true });
    this.#title.scrollIntoView();
  }

  #render() {
    const visible = this.#all ? this.#attempts : this.#attempts.slice(0, few);
    const content = JSON.stringify(visible);
    if (content !== this.#shown) {
      this.#list.replaceChildren(...visible.map((attempt) => attemptItem(attempt, this.#api.now())));
      this.#shown = content;
    }
    const [link] = this.#jump.children;
    put(link, this.#attempts.length === 1 ? '1 recent failure' : `${this.#attempts.length} recent failures`);
    this.#jump.hidden = this.#attempts.length === 0;
    this.#button.hidden = this.#attempts.length <= few;
    this.#button.setAttribute('aria-expanded', this.#all);
    put(this.#button, this.#all ? 'Show the latest' : `Show all ${this.#attempts.length}`);
    this.retime();
  }
}

function matches(attempt, query) {
  const wanted = query.toLowerCase();
  return fields.some((field) => String(attempt[field] ?? '').toLowerCase().includes(wanted));
}

function nothing(query, note) {
  if (query) return plain(note) || 'No failure matches.';
  return 'None. When a phone is refused, its cause and the cure stand here.';
}
