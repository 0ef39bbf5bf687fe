/* How often does a screen look? Quickly while something runs, slowly when idle, not at all while nobody sees it. */

const RUNNING = 2000;
const IDLE = 20000;
const TROUBLE = 10000;

/* Call `look` again and again; it answers whether something runs. Returns {now, stop}. */
export function polling(look) {
  let timer = null;
  let stopped = false;
  let looking = false;

  async function round() {
    clearTimeout(timer);
    if (stopped || looking || document.hidden) return;
    looking = true;
    let pause = TROUBLE;
    try {
      pause = (await look()) ? RUNNING : IDLE;
    } catch (error) {
      console.warn("the screen could not be refreshed:", error.message);
    } finally {
      looking = false;
    }
    if (!stopped) timer = setTimeout(round, pause);
  }

  const seen = () => !document.hidden && round();
  document.addEventListener("visibilitychange", seen);
  return {
    now: round,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
