// The page of a reading round: choose a route, read meter after meter, see what came of each.
import { load, tell } from "./actions.js";
import { drawing, state } from "./state.js";
import { draw, drawConnection } from "./view.js";
import { t } from "./words.js";

Object.assign(drawing, { draw, drawConnection });

addEventListener("online", () => load(false));
addEventListener("offline", () => tell(t("There is no connection.")));
setInterval(() => { if (state.queue.some((entry) => entry.state === "waiting") && navigator.onLine) load(false); }, 20000);
navigator.serviceWorker?.register("/round/worker.js", { scope: "/round" }).then(takeOver).catch(() => {});
// Reads that wait for a connection must not be cleared away by the phone.
navigator.storage?.persist?.();
load(true).catch(() => tell(t("This browser keeps no data for this page, so the round does not work in it. Leave private browsing.")));

// A new version of the page's files takes over once all of this one are loaded, so that they never mix.
function takeOver(registered) {
  const go = () => registered.waiting?.postMessage("take over");
  go();
  registered.addEventListener("updatefound", () => registered.installing?.addEventListener("statechange", go));
}
