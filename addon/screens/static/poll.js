/* How often a screen looks: quickly while something runs, slowly when idle, not at all while it is hidden. */

const RUNNING = 2000;
const IDLE = 20000;
const TROUBLE = 10000;

/* Call `look` again and again; it answers whether something runs. Returns {now, stop}: `now` looks at once, after a
 * look under way has ended, because that one may have begun before what the person just did. */
export function polling(look) {
  let timer = null;
  let stopped = false;
  let looking = null;

  async function once() {
    let pause = TROUBLE;
    try {
      pause = (await look()) ? RUNNING : IDLE;
    } catch (error) {
      console.warn("the screen could not be refreshed:", error.message);
    }
    looking = null;
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(round, pause);
  }

  function round() {
    clearTimeout(timer);
    if (stopped || document.hidden) return looking;
    looking = looking || once();
    return looking;
  }

  async function now() {
    if (looking) await looking;
    return round();
  }

  const seen = () => !document.hidden && round();
  document.addEventListener("visibilitychange", seen);
  return {
    now,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
