//! The panel from outside: people by key and by cookie, a worker by hand, viewers of logs.
//!
//! No real edge runs here; the one lease that a test needs is taken by a worker that speaks by hand.

mod access;
mod checks;
mod configuration;
mod database;
mod deliveries;
mod held;
mod keys;
mod lists;
mod logs;
mod others;
mod person;
mod records;
mod recoveries;
mod retention;
mod runs;
mod settings;
mod sign_in;
mod steer;

use std::process::ExitCode;
use std::time::Duration;

use e2e::suite::{self, Group, without_edges};
use e2e::tests;

fn main() -> ExitCode {
    let settings = [
        "flushUnwatchedMs=500",
        "flushWatchedMs=200",
        "heartbeatLineMs=1000",
        "maxAttempts=2",
        "backoffMs=10",
    ];
    let list = tests![
        access::the_owner_sees_who_they_are_and_every_first_page,
        access::strangers_are_refused,
        access::a_worker_key_cannot_do_what_people_do,
        access::a_persons_key_cannot_do_what_workers_do,
        access::a_new_worker_key_works_at_the_proxy_at_once,
        access::unknown_paths_and_wrong_methods_get_a_problem_document,
        sign_in::a_look_ahead_does_not_use_the_link_up,
        sign_in::of_ten_browsers_at_once_one_is_signed_in_and_the_link_is_used_up,
        sign_in::writes_with_a_cookie_must_come_from_the_panels_own_pages,
        sign_in::after_signing_out_the_cookie_opens_nothing,
        lists::limit_cursor_and_status_are_checked,
        lists::pages_show_each_session_once_newest_first,
        lists::the_four_words_of_status_pick_the_states_behind_them,
        records::the_same_agent_session_is_one_record,
        records::one_idempotency_key_of_a_worker_is_one_record_however_often_it_is_sent,
        records::a_key_and_an_agent_session_that_is_known_give_the_known_record,
        records::a_refused_request_does_not_use_its_idempotency_key_up,
        records::an_unknown_session_is_not_found_by_any_route,
        records::nasty_texts_come_back_as_they_were,
        records::nasty_bodies_are_refused_and_change_nothing,
        records::under_an_old_token_nothing_is_written,
        records::a_token_that_was_never_shown_writes_nothing,
        logs::lines_posted_twice_are_stored_once,
        logs::a_viewer_gets_what_is_stored_and_then_what_comes_live,
        logs::a_viewer_that_comes_back_gets_each_line_once_and_in_order,
        logs::forty_batches_under_many_viewers_are_seen_once_and_in_order_by_each,
        logs::a_lost_range_is_told_by_a_gap,
        logs::a_line_cannot_break_out_of_its_event,
        logs::lines_that_are_not_numbered_in_order_are_refused,
        logs::viewers_hear_that_the_session_changed,
        keys::a_revoked_key_opens_nothing_any_more,
        keys::no_list_of_keys_holds_a_key,
        keys::nasty_ids_and_bodies_revoke_and_make_nothing,
        configuration::what_is_known_already_is_not_sent_again,
        configuration::a_change_and_nothing_else_reaches_the_workers_stream,
        configuration::nasty_repositories_are_refused_and_change_nothing,
        settings::what_is_set_for_a_repository_reaches_a_worker_within_five_seconds,
        settings::a_repository_that_was_known_by_its_name_gets_the_remote_that_a_worker_tells,
        settings::slots_that_are_set_for_one_worker_reach_that_one_alone,
        settings::nasty_settings_are_refused_by_their_field_and_change_nothing,
        settings::a_credential_is_written_by_people_and_read_by_workers_alone,
        recoveries::recovered_work_is_told_under_an_old_token_and_shown_once,
        recoveries::nasty_recoveries_are_refused_and_nothing_is_kept,
        checks::nasty_checks_are_refused,
        checks::with_no_worker_on_line_a_check_says_so_at_once,
        checks::a_workers_result_comes_back_as_it_gave_it,
        runs::nasty_runs_are_refused_and_nothing_is_made,
        runs::a_run_without_an_issue_has_its_record_first_and_reaches_a_worker,
        runs::one_idempotency_key_is_one_run_however_often_it_is_sent,
        runs::a_run_on_an_issue_opens_one_agent_session_in_linear,
        runs::a_run_that_linear_does_not_open_yet_is_queued_and_holds_nothing_back,
        runs::a_run_that_the_hub_refuses_for_good_is_told_and_holds_nothing_back,
        others::another_organization_sees_and_changes_nothing,
        others::one_idempotency_key_in_two_organizations_is_two_runs,
        others::a_viewer_looks_and_an_operator_revokes_no_key,
        others::a_command_that_nobody_can_read_holds_nothing_back,
        steer::nobody_can_tell_an_unknown_session_anything,
        steer::nasty_words_are_refused_and_reach_nobody,
        steer::feedback_reaches_the_worker_of_a_linear_session,
        steer::what_a_session_cannot_take_now_is_refused_with_a_reason,
        steer::feedback_to_a_completed_session_resumes_it,
        steer::a_retry_is_a_new_run_of_the_same_session_and_two_at_once_are_one,
        steer::a_stop_overtakes_a_run_that_nobody_began,
        deliveries::a_filter_that_is_none_is_refused_by_name,
        deliveries::each_delivery_of_a_session_is_shown_with_its_way,
        deliveries::unknown_deliveries_are_neither_replayed_nor_dismissed,
        deliveries::the_status_counts_workers_and_what_waits,
        deliveries::a_dismissed_dead_letter_says_so_until_it_is_replayed,
        deliveries::one_delivery_is_found_by_its_number_whatever_came_after_it,
        logs::confirmed_lines_outlive_workerd_and_numbering_goes_on,
    ];
    let plain = Group { arguments: without_edges(&settings), beside: false, tests: list };
    let minute = Group {
        arguments: without_edges(&[]),
        beside: true,
        tests: tests![
            retention::a_run_whose_command_is_forgotten_is_not_begun_again_under_its_key,
            retention::a_confirmed_command_is_forgotten_after_the_retention_and_no_other_is,
        ],
    };
    suite::groups(Duration::from_secs(120), vec![plain, minute])
}
