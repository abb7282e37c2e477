// Back leads to where people were, as it was. Streamlit changes the address in two steps when it goes to
// a page with a query: first the query, under the old page, then the page. Each makes an entry of the
// history, and the first of them is a place that never was. It also scrolls every page to its top.
(() => {
  if (window.pageHistory) return;
  window.pageHistory = true;
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  const parts = (address) => new URL(address ?? location.href, location.href);
  const scroller = () => document.querySelector('[data-testid="stMain"]');
  // What the entry at hand was made from, as long as nothing else has happened since.
  let halfway = null;

  history.pushState = (state, title, address) => {
    const to = parts(address);
    const half = halfway === location.href && to.pathname !== location.pathname && to.search === location.search;
    // A form that is done gives its place to what it made; the bare address only leads on.
    const inPlace = half || to.searchParams.has("done") || /\/(home)?$/.test(location.pathname);
    (inPlace ? replace : push)({ ...state }, title, address);
    halfway = location.href;
  };
  // Streamlit replaces the address when a filter changes; the place of the entry's page is kept.
  history.replaceState = (state, title, address) => replace({ ...history.state, ...state }, title, address);

  const remember = () => {
    const main = scroller();
    if (main && history.state?.top !== main.scrollTop) {
      replace({ ...history.state, top: main.scrollTop }, "");
    }
  };
  let waiting = null;
  let returning = null;
  document.addEventListener(
    "scroll",
    (event) => {
      if (event.target !== scroller() || returning) return;
      clearTimeout(waiting);
      waiting = setTimeout(remember, 100);
    },
    { capture: true, passive: true },
  );
  // The place is noted before anything that is clicked can lead away.
  document.addEventListener("pointerdown", remember, { capture: true });

  window.addEventListener("popstate", (event) => {
    halfway = null;
    clearTimeout(waiting);
    clearInterval(returning);
    const top = event.state?.top;
    if (!top) return;
    const ends = Date.now() + 5000;
    let ran = false;
    let still = 0;
    // The page is drawn bit by bit: it is scrolled again until it has been drawn, and stays there.
    returning = setInterval(() => {
      const main = scroller();
      const idle = document.querySelector(".stApp")?.dataset.testScriptState === "notRunning";
      ran ||= !idle;
      const there = main && Math.abs(main.scrollTop - top) < 2;
      still = ran && idle && there ? still + 1 : 0;
      if (main && !there) main.scrollTop = top;
      if (still > 4 || Date.now() > ends) stop();
    }, 50);
  });
  const stop = () => {
    clearInterval(returning);
    returning = null;
  };
  for (const kind of ["wheel", "touchmove", "keydown"]) {
    document.addEventListener(kind, stop, { capture: true, passive: true });
  }
})();
