//! Upstream's configuration file: which of its keys mean nothing here, and why. All others are keys of
//! [`super::file`] under the same names, so such a file is read as it is.

/// Keys that are known and not used. In a list of repositories the key is `repositories[].key`.
const UNUSED: &[(&str, &str)] = &[
    ("ngrokAuthToken", "no tunnel is needed: events are fetched from the proxy"),
    ("stripeCustomerId", "there is no subscription to pay here"),
    ("linearWorkspaces", "the proxy keeps Linear's tokens and refreshes them; connect the workspace there"),
    ("geminiDefaultModel", "there is no executor for it yet"),
    ("codexDefaultModel", "there is no executor for it yet"),
    ("cursorDefaultModel", "there is no executor for it yet"),
    ("cursorDefaultFallbackModel", "there is no executor for it yet"),
    ("slackAllowedTools", "work comes from Linear alone"),
    ("slackMcpConfigs", "work comes from Linear alone"),
    ("githubAllowedTools", "work comes from Linear alone"),
    ("githubMcpConfigs", "work comes from Linear alone"),
    ("linearMcpConfigs", "name the files in `mcpConfigPath`"),
    ("prReviewTrigger", "work comes from Linear alone"),
    ("userAccessControl", "it is not enforced yet: restrict in Linear who may give the agent work"),
    (
        "repositories[].userAccessControl",
        "it is not enforced yet: restrict in Linear who may give the agent work",
    ),
    ("promptDefaults", "there are no modes by label yet"),
    ("sandbox.httpProxyPort", "the box has its own way out and needs no port"),
    ("sandbox.socksProxyPort", "the box has its own way out and needs no port"),
    ("sandbox.systemWideCert", "no traffic is opened, so no certificate is needed"),
    ("sandbox.networkPolicy.preset", "no list of hosts is kept here; name them in `sandbox.egress`"),
    ("sandbox.networkPolicy.subnets", "hosts are judged by name"),
    ("sandbox.logRequests", "refused hosts are always in the session's log"),
    ("repositories[].labelPrompts", "there are no modes by label yet"),
    ("repositories[].promptTemplatePath", "prompts are not made from templates"),
    ("repositories[].linearToken", "the proxy keeps Linear's tokens; connect the workspace there"),
    ("repositories[].linearRefreshToken", "the proxy keeps Linear's tokens; connect the workspace there"),
    ("repositories[].linearWorkspaceName", "workspaces are told apart by their ids"),
    ("repositories[].linearWorkspaceSlug", "workspaces are told apart by their ids"),
];

/// Why a key of upstream's means nothing here; `None`: it is not such a key. Places in lists may have their number.
pub fn why_unused(place: &str) -> Option<&'static str> {
    let plain = without_numbers(place);
    UNUSED.iter().find(|(key, _)| *key == plain).map(|(_, why)| *why)
}

/// `repositories[3].model` as `repositories[].model`.
fn without_numbers(place: &str) -> String {
    let mut inside = false;
    place
        .chars()
        .filter(|letter| {
            match letter {
                '[' => inside = true,
                ']' => inside = false,
                _ => return !inside,
            }
            true
        })
        .collect()
}
