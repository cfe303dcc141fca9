// The events as they happen. EventSource cannot send a token, so the stream is
// fetched and taken apart here.

import { Failure } from './api.js';

const silence = 45_000; // milliseconds; the server says something each 15 s
const longestWait = 30_000;
const longestText = 1 << 20; // of one event

export class Stream {
  #api;
  #on;
  #last = ''; // id of the last event

  // on has functions: open, event(event), missed, lost(seconds until the next try).
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
  }

  // run follows the events for ever.
  async run() {
    for (let failures = 0; ; failures++) {
      if (await this.#follow()) failures = 0;
      const wait = Math.min(longestWait, 1000 * 2 ** failures) * (0.75 + Math.random() / 4);
      this.#on.lost(wait / 1000);
      await wakeUp(wait);
    }
  }

  // #follow follows one connection, and tells whether there was one.
  async #follow() {
    const abort = new AbortController();
    const watch = new Watch(silence, () => abort.abort());
    let open = false;
    try {
      const headers = this.#last ? { 'Last-Event-ID': this.#last } : {};
      const response = await this.#api.stream('events', headers, abort.signal);
      open = true;
      this.#on.open();
      for await (const message of messages(response.body, () => watch.reset())) this.#take(message);
    } catch (error) {
      if (!(error instanceof Failure || error instanceof TypeError || error.name === 'AbortError')) console.error(error);
    } finally {
      watch.stop();
      abort.abort();
    }
    return open;
  }

  #take(message) {
    if (message.id) this.#last = message.id;
    if (message.event === 'event') this.#on.event(JSON.parse(message.data));
    if (message.event === 'missed') this.#on.missed();
  }
}

// Watch calls an end to what was silent for too long.
class Watch {
  #limit;
  #end;
  #timer;

  constructor(limit, end) {
    this.#limit = limit;
    this.#end = end;
    this.reset();
  }

  reset() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#end, this.#limit);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

// messages takes a body of server-sent events apart. heard is called whenever
// something comes, be it a comment.
export async function* messages(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let message = { id: '', event: '', data: '' };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const lines = text.split('\n');
    text = lines.pop();
    for (const line of lines) {
      if (takeLine(message, line.replace(/\r$/, ''))) continue;
      if (message.data) yield message;
      message = { id: '', event: '', data: '' };
    }
    if (text.length + message.data.length > longestText) throw new TypeError('an event without end');
  }
}

// takeLine adds a line to a message, and tells whether the message goes on.
function takeLine(message, line) {
  if (line === '') return false;
  const [, field, value] = line.match(/^([^:]*):? ?(.*)$/);
  if (field === 'id' || field === 'event') message[field] = value;
  if (field === 'data') message.data += message.data ? '\n' + value : value;
  return true;
}

// wakeUp waits, but not on where the machine is back on the network or somebody
// looks at the page.
function wakeUp(milliseconds) {
  return new Promise((resolve) => {
    const done = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      done.abort();
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    addEventListener('online', wake, { signal: done.signal });
    document.addEventListener('visibilitychange', () => document.hidden || wake(), { signal: done.signal });
  });
}
