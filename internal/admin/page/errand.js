// Errand does something whenever it is asked to, but never twice at once and
// with a pause between: the longer it takes the server, the longer the pause.

const gather = 100; // milliseconds; what comes together is done together

export class Errand {
  #run;
  #pause;
  #wanted = false;
  #hurry = false;
  #busy = false;
  #timer;

  // run returns a promise that never fails; pause is in milliseconds.
  constructor(run, pause) {
    this.#run = run;
    this.#pause = pause;
  }

  ask() {
    this.#wanted = true;
    if (!this.#busy && this.#timer === undefined) this.#wait(gather);
  }

  // askNow does not wait, but for what is being done.
  askNow() {
    this.#wanted = this.#hurry = true;
    if (!this.#busy) this.#wait(0);
  }

  #wait(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#go(), milliseconds);
  }

  async #go() {
    this.#timer = undefined;
    if (!this.#wanted) return;
    this.#busy = true;
    this.#wanted = this.#hurry = false;
    const start = performance.now();
    await this.#run();
    this.#busy = false;
    const took = performance.now() - start;
    this.#wait(this.#hurry ? 0 : Math.max(this.#pause, 4 * took));
  }
}
