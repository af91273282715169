// Answers: JSON, and refusals as problem documents with the proxy's own codes.

/** Why a request is not taken. */
export class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

export function reply(body) {
  return Response.json(body, { headers: HEADERS });
}

export function refuse({ status, code, message }) {
  const headers = { ...HEADERS, "content-type": "application/problem+json" };
  if (status === 429) headers["retry-after"] = "60";
  const title = code.replaceAll("_", " ");
  return new Response(JSON.stringify({ type: `urn:cyrus:problem:${code}`, title, status, detail: message, code }), { status, headers });
}
