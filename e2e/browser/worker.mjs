// An edge worker by hand, for tests that say when an offer is accepted, given back or done.

const PROTOCOL = 1;

/** Registers a worker under a key; the organization's own key where none is given. */
export async function register(system, name, key = system.up.worker_key) {
  const call = async (path, body, id) => {
    const response = await fetch(system.up.proxy_url + path, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...(id && { "cyrus-worker": id }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const registration = { name, version: "0.1.0", protocol: PROTOCOL, repositories: [], teams: [], executors: ["claude"], slots: 4, weight: 2 };
  const { workerId: id } = await (await call("/v1/workers", registration)).json();
  return {
    id,
    /** Opens the stream; `offers` grows by itself. */
    async connect() {
      const response = await call("/v1/events", undefined, id);
      const reader = response.body.getReader();
      const offers = [];
      const reading = read(reader, (line) => {
        if (line.type === "event") offers.push(line);
      }).catch(() => {});
      return {
        offers,
        async close() {
          await reader.cancel();
          await reading;
        },
      };
    },
    /** Acks an offer and gives the hub's word. */
    async ack({ seq, token }, state, more = {}) {
      const [word] = await (await call("/v1/acks", [{ seq, token, state, ...more }], id)).json();
      return word;
    },
  };
}

async function read(reader, take) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
  }
}
