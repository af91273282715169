// Drives a Linear endpoint with Linear's own SDK and prints what came back as one JSON line.
// usage: node linear-sdk.mjs URL ACCESS_TOKEN ISSUE SESSION_ID STATE_ID
import { randomUUID } from "node:crypto";
import { LinearClient } from "@linear/sdk";

const [apiUrl, accessToken, issueId, agentSessionId, stateId] = process.argv.slice(2);
const client = new LinearClient({ accessToken, apiUrl });

/** The outcome of a call that should be refused. */
async function refused(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { type: error.type, status: error.status, message: error.errors?.[0]?.message ?? error.message };
  }
}

const viewer = await client.viewer;
const issue = await client.issue(issueId);
const labels = issue.labelIds;

const id = randomUUID();
const thought = { agentSessionId, id, content: { type: "thought", body: "On it" } };
const created = await client.createAgentActivity(thought);
const createdTwice = await refused(() => client.createAgentActivity(thought));
await client.createAgentActivity({
  agentSessionId,
  content: { type: "action", action: "Running", parameter: "cargo test" },
});
await client.createAgentActivity({ agentSessionId, content: { type: "response", body: "Done" } });
const badContent = await refused(() =>
  client.createAgentActivity({ agentSessionId, content: { type: "thought" } }),
);

const updatedSession = await client.updateAgentSession(agentSessionId, {
  plan: [{ content: "Read", status: "completed" }],
  addedExternalUrls: [{ label: "Run", url: "https://example.com/run" }],
});
const updatedIssue = await client.updateIssue(issueId, { stateId });
const unknownIssue = await refused(() => client.issue("not an id"));
const invalid = await refused(() => client.client.rawRequest("query { viewer { nickname } }", {}));
const wrongToken = await refused(
  () => new LinearClient({ accessToken: "wrong", apiUrl }).viewer,
);

const session = await client.agentSession(agentSessionId);
const activities = await session.activities({ first: 10 });
const activity = await client.agentActivity(id);
const state = await (await client.issue(issueId)).state;

console.log(
  JSON.stringify({
    viewer: { id: viewer.id, app: viewer.app },
    issue: { id: issue.id, identifier: issue.identifier, branchName: issue.branchName, labels },
    created: { success: created.success, id: created.agentActivityId, wanted: id },
    createdTwice,
    badContent,
    updatedSession: updatedSession.success,
    updatedIssue: updatedIssue.success,
    unknownIssue,
    invalid,
    wrongToken,
    session: { status: session.status, plan: session.plan, links: session.externalLinks.map((link) => link.url) },
    activities: activities.nodes.map((node) => ({ id: node.id, type: node.content.type })),
    activity: { body: activity.content.body, ephemeral: activity.ephemeral },
    state: { id: state.id, type: state.type },
  }),
);
