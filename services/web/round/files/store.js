// What the browser keeps: `entries` that were typed, and by name the sign-in and the route chosen.
const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("reading-round", 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("entries", { keyPath: "key" });
    asked.result.createObjectStore("kept");
  };
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function inStore(name, mode, act) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const change = database.transaction(name, mode);
    const asked = act(change.objectStore(name));
    change.oncomplete = () => resolve(asked.result);
    change.onerror = change.onabort = () => reject(change.error);
  });
}

export const keep = (name, value) => inStore("kept", "readwrite", (store) => store.put(value, name));
export const kept = (name) => inStore("kept", "readonly", (store) => store.get(name));
export const put = (entry) => inStore("entries", "readwrite", (store) => store.put(entry));
export const remove = (key) => inStore("entries", "readwrite", (store) => store.delete(key));
export const entries = async () =>
  (await inStore("entries", "readonly", (store) => store.getAll())).sort((a, b) => a.typedAt - b.typedAt);
