//! The kinds of lines that this program knows of, beyond those that it reads; told by version 2.1.330 of `claude`.
//! Neighbours: `stream` calls a line of another kind unknown.
//! It must never be taken for a promise: the program's own text says that its sets of kinds are open.

/// Types of lines that say little.
const TYPES: &[&str] = &[
    "attachment",
    "auth_status",
    "control_cancel_request",
    "control_request",
    "control_response",
    "conversation_reset",
    "keep_alive",
    "prompt_suggestion",
    "rate_limit_event",
    "session_notice",
    "streamlined_text",
    "streamlined_tool_use_summary",
    "tool_progress",
    "tool_use_summary",
    "transcript_mirror",
];

/// Subtypes of `system` lines that say little.
const SUBTYPES: &[&str] = &[
    "agents_killed",
    "api_error",
    "away_summary",
    "background_tasks_changed",
    "bridge_state",
    "bridge_status",
    "checkpoint_done",
    "code_change_published",
    "commands_changed",
    "compact_boundary",
    "control_request_progress",
    "dev_intent",
    "elicitation_complete",
    "feedback_draft_queued",
    "file_attachments_missing",
    "file_snapshot",
    "files_persisted",
    "informational",
    "inherited_asks_settled",
    "instruction_size_warning",
    "late_allow_not_run",
    "local_command",
    "local_command_output",
    "memory_recall",
    "memory_saved",
    "microcompact_boundary",
    "mirror_error",
    "notification",
    "peer_message_hold",
    "per_turn_effort_changed",
    "plugin_install",
    "post_turn_summary",
    "rewind_stand_in",
    "scheduled_task_fire",
    "session_metadata",
    "session_state_changed",
    "session_title_changed",
    "session_writes_lost",
    "shell_cwd",
    "start_folder",
    "status",
    "stop_hook_summary",
    "terminated",
    "thinking",
    "thinking_tokens",
    "tool_host_result",
    "upgrade_relay_marker",
    "vcs_state_changed",
    "voice_call_talk",
    "worker_shutting_down",
];

/// Beginnings of such subtypes.
const FAMILIES: &[&str] = &["cloud_session_", "hook_", "model_", "permission_", "task_", "turn_", "ui_"];

/// Whether lines of this type are known.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Whether `system` lines of this subtype are known.
pub(super) fn is_subtype(name: &str) -> bool {
    SUBTYPES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}
