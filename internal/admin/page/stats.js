// The counts, and what is wrong with the daemon itself.

import { count, duration, make, moment, plain, put } from './text.js';

const byId = (id) => document.getElementById(id);

// Reasons that phones get over by themselves.
const harmless = new Set(['stale_nonce', 'expiry_too_brief']);

export class Stats {
  #api;
  #started = 0; // performance.now() at the start of the daemon
  #isKnown = false;
  #shown = ''; // what the notices were made of

  constructor(api) {
    this.#api = api;
  }

  // refresh never fails: whoever asks for the bindings too says what is wrong.
  async refresh() {
    try {
      this.#show(await this.#api.get('stats'));
    } catch {
      // the old counts stand
    }
  }

  tick() {
    if (this.#isKnown) put(byId('uptime'), duration((performance.now() - this.#started) / 1000));
  }

  #show(stats) {
    this.#isKnown = true;
    this.#started = performance.now() - stats.uptime * 1000;
    put(byId('aors'), count(stats.aors));
    put(byId('bindings'), count(stats.bindings));
    put(byId('peers'), count(stats.peers));
    put(byId('refusals'), count(refusals(stats)));
    put(byId('server'), plain([`on ${location.hostname}`, stats.version].join(' · ')));
    byId('server').title = plain((stats.listen ?? []).join('\n'));
    this.#showStore(stats.store);
    this.#showNotices(notices(stats));
    this.tick();
  }

  #showStore({ kind, durable }) {
    const onDisk = kind !== 'memory';
    put(byId('store'), !onDisk ? 'in memory' : durable ? 'on disk' : 'not on disk');
    byId('store').classList.toggle('bad', onDisk && !durable);
  }

  #showNotices(list) {
    const content = JSON.stringify(list);
    if (content === this.#shown) return;
    this.#shown = content;
    byId('notices').replaceChildren(...list.map(notice));
  }
}

function refusals(stats) {
  return Object.entries(stats.refusals ?? {}).reduce((sum, [reason, n]) => (harmless.has(reason) ? sum : sum + n), 0);
}

// notices returns what an administrator has to know: a sentence and lines each.
function notices({ store, reload, webhook }) {
  const list = [];
  if (store.kind !== 'memory' && !store.durable) {
    const since = store.since ? ` since ${moment(store.since)}` : '';
    list.push([`Bindings cannot be saved${since}: phones register all the same, and ${count(store.unsaved)} addresses wait for the disk.`, store.failure]);
  }
  if (reload && !reload.ok && reload.errors?.length > 0) {
    list.push([`peers.conf was not taken in at ${moment(reload.time)}: the peers are those of before.`, ...reload.errors]);
  }
  if (webhook?.failure) list.push(['The webhook does not take the events.', webhook.failure]);
  return list;
}

function notice([sentence, ...lines]) {
  const element = make('div', 'notice');
  element.append(make('p', '', sentence));
  for (const line of lines.filter(Boolean)) element.append(make('p', 'sent', plain(line)));
  return element;
}
