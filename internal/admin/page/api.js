// What is asked of sipregd. The token, if it wants one, stays in this tab's
// session storage and travels in a header, never in a URL.

const key = 'sipregd-token';
const patience = 20_000; // milliseconds, for an answer that is no stream

// Failure is why a request failed. Status is 0 where no answer came.
export class Failure extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export class API {
  #token = sessionStorage.getItem(key) ?? '';
  #asking = null; // for a token
  #ask;
  skew = 0; // milliseconds that the server's clock is ahead of this one

  // ask returns a promise of a token; again says that the last one was wrong.
  constructor(ask) {
    this.#ask = ask;
  }

  // get returns what a path has to say; parameters that are empty are left out.
  async get(path, parameters = {}) {
    const filled = Object.entries(parameters).filter(([, value]) => value !== '');
    const query = new URLSearchParams(filled).toString();
    return content(await this.#send(query ? `${path}?${query}` : path, {}, patience));
  }

  async delete(path, parameters) {
    return content(await this.#send(`${path}?${new URLSearchParams(parameters)}`, { method: 'DELETE' }, patience));
  }

  // stream returns a response whose body goes on.
  stream(path, headers, signal) {
    return this.#send(path, { headers, signal });
  }

  // now returns the server's time in milliseconds.
  now() {
    return Date.now() + this.skew;
  }

  async #send(path, init, limit) {
    for (;;) {
      const token = this.#token;
      const response = await this.#once(path, init, limit, token);
      if (response.ok) return response;
      const text = await problem(response);
      if (response.status !== 401) throw new Failure(response.status, text);
      if (token === this.#token) await this.#renewToken();
    }
  }

  async #once(path, init, limit, token) {
    const headers = { ...init.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const signal = limit ? AbortSignal.timeout(limit) : init.signal;
    try {
      const response = await fetch(`api/v1/${path}`, { ...init, headers, signal, cache: 'no-store' });
      const date = Date.parse(response.headers.get('Date') ?? '');
      if (!Number.isNaN(date)) this.#follow(date);
      return response;
    } catch (error) {
      throw new Failure(0, init.signal?.aborted ? 'given up' : 'sipregd does not answer');
    }
  }

  // #follow takes the server's clock over. It comes in whole seconds.
  #follow(date) {
    const skew = date + 500 - Date.now();
    if (Math.abs(skew - this.skew) > 1500) this.skew = Math.abs(skew) < 1500 ? 0 : skew;
  }

  // #renewToken asks once for all requests that wait.
  async #renewToken() {
    this.#asking ??= this.#ask(this.#token !== '').then((token) => {
      this.#token = token;
      sessionStorage.setItem(key, token);
      this.#asking = null;
    });
    await this.#asking;
  }
}

async function content(response) {
  try {
    return await response.json();
  } catch {
    throw new Failure(0, 'sipregd broke off in the middle of an answer');
  }
}

// problem returns what an answer says went wrong.
async function problem(response) {
  try {
    return (await response.json()).error || response.statusText;
  } catch {
    return `sipregd answered ${response.status}`;
  }
}
