//! The whole way, on real parts: webhook, hub, edge, git, the real `claude` with a scripted model, Linear's stand-in, panel.

mod away;
mod conversation;
mod demo;
mod outage;
mod session;
mod takeover;

use std::process::ExitCode;
use std::time::Duration;

use e2e::suite::{self, Group};
use e2e::tests;

fn main() -> ExitCode {
    let list = tests![
        session::an_issue_becomes_a_commit_seen_live_and_told_to_linear,
        session::a_mention_in_a_comment_is_worked_on_as_well,
        session::the_same_delivery_three_times_is_one_session_and_one_run,
        session::issues_of_the_same_identifier_get_a_worktree_and_a_commit_each,
        session::nasty_titles_make_sound_branches_and_commits,
        session::a_model_that_refuses_ends_the_session_with_an_error_that_is_told,
        conversation::a_follow_up_goes_on_in_the_same_conversation,
        conversation::a_prompt_reaches_the_running_agent,
        conversation::a_stop_ends_the_running_agent,
        outage::an_event_that_comes_while_workerd_is_down_is_not_lost_when_it_is_sent_again,
        outage::a_run_goes_on_while_workerd_dies_and_no_line_is_lost,
        outage::five_webhooks_while_no_edge_is_on_line_all_run_each_once,
        demo::the_demo_ends_well_and_says_what_it_did,
    ];
    let long = tests![away::with_proxy_and_panel_away_for_long_the_run_finishes_and_all_of_it_arrives_once];
    let moves = tests![takeover::a_killed_workers_session_goes_on_elsewhere_from_what_was_pushed_and_what_it_had_is_put_aside];
    let stays = tests![takeover::a_session_that_never_moves_waits_for_its_worker_and_goes_on_where_it_was];
    suite::groups(
        Duration::from_secs(420),
        vec![
            Group {
                arguments: vec!["--edges", "1", "--set", "heartbeatLineMs=2000"],
                tests: list,
                beside: false,
            },
            Group { arguments: away::ARGUMENTS.to_vec(), tests: long, beside: true },
            Group { arguments: takeover::ARGUMENTS.to_vec(), tests: moves, beside: true },
            Group { arguments: takeover::NEVER.to_vec(), tests: stays, beside: true },
        ],
    )
}
