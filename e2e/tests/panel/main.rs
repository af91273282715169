//! The panel from outside: people by key and by cookie, a worker by hand, viewers of logs.
//!
//! No real edge runs here; the one lease that a test needs is taken by a worker that speaks by hand.

mod access;
mod held;
mod lists;
mod logs;
mod records;
mod sign_in;

use std::process::ExitCode;
use std::time::Duration;

use e2e::{suite, tests};

fn main() -> ExitCode {
    let settings = [
        "--edges",
        "0",
        "--set",
        "flushUnwatchedMs=500",
        "--set",
        "flushWatchedMs=200",
        "--set",
        "heartbeatLineMs=1000",
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
        logs::confirmed_lines_outlive_workerd_and_numbering_goes_on,
    ];
    suite::main(&settings, Duration::from_secs(120), list)
}
