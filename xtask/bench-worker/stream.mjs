// `GET /v1/events`: the stateless Worker writes NDJSON and its heartbeat lines; a WebSocket that hibernates feeds it.

export async function stream(request, env, hub, key, worker) {
  const headers = { upgrade: "websocket", "x-key-hash": key, "cyrus-worker": worker ?? "" };
  const response = await hub.fetch("https://hub/events", { headers });
  const socket = response.webSocket;
  if (!socket) return response;
  const { heartbeatLineMs = 15_000, streamMaxMs = 300_000 } = JSON.parse(env.CYRUS_SETTINGS || "{}");
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const write = (line) => writer.write(encoder.encode(`${line}\n`)).catch(end);
  const heartbeat = setInterval(write, heartbeatLineMs, '{"type":"heartbeat"}');
  const last = setTimeout(() => write('{"type":"reconnect"}').then(end), streamMaxMs);
  function end() {
    clearInterval(heartbeat);
    clearTimeout(last);
    writer.close().catch(() => {});
    socket.close(1000, "stream ended");
  }
  socket.addEventListener("message", ({ data }) => write(data));
  socket.addEventListener("close", end);
  request.signal.addEventListener("abort", end);
  socket.accept();
  return new Response(readable, { headers: { "content-type": "application/x-ndjson", "cache-control": "no-store, no-transform" } });
}
