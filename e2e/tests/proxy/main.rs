//! The proxy from outside: what Linear sends, and what an edge that speaks by hand is told.
//!
//! No real edge runs here, so nothing happens that a test did not do itself.

mod differential;
mod duplicates;
mod leases;
mod refusals;
mod streams;

use std::process::ExitCode;
use std::time::Duration;

use e2e::{suite, tests};

fn main() -> ExitCode {
    let settings = ["--edges", "0", "--set", "offerMs=4000", "--set", "heartbeatLineMs=1000"];
    let list = tests![
        refusals::a_signature_that_is_not_right_is_refused_and_each_wrong_one_is_named,
        refusals::a_stamp_that_is_not_fresh_is_refused_and_each_wrong_one_is_named,
        refusals::a_body_that_is_no_sound_json_is_refused_and_each_wrong_one_is_named,
        refusals::a_body_over_five_mebibytes_is_refused_without_reading_it,
        refusals::a_body_just_under_five_mebibytes_is_taken,
        refusals::types_and_workspaces_that_are_not_ours_are_answered_200_and_not_stored,
        refusals::methods_other_than_post_are_refused_with_allow,
        refusals::after_every_refusal_nothing_is_stored_and_the_next_good_one_works,
        refusals::a_body_signed_with_a_secret_of_the_list_is_taken_whatever_its_size,
        refusals::over_the_organizations_rate_a_sender_is_told_when_to_come_back,
        duplicates::the_same_delivery_three_times_is_one_event,
        duplicates::two_delivery_ids_of_one_agent_session_are_one_event,
        duplicates::two_prompts_are_two_events_and_the_same_prompt_again_is_none,
        duplicates::fifty_deliveries_of_one_body_at_once_are_one_event,
        differential::the_official_handler_and_the_proxy_accept_and_refuse_the_same_bodies,
        streams::a_stream_says_hello_first_and_then_shows_that_it_lives,
        streams::an_event_that_waits_is_offered_as_soon_as_a_stream_opens,
        streams::a_second_stream_of_a_worker_closes_the_first_with_replaced,
        streams::an_unknown_key_and_no_key_are_refused,
        streams::a_worker_that_never_registered_is_told_to,
        streams::another_protocol_is_refused_with_the_version_to_install,
        streams::nasty_registrations_and_acks_are_refused_without_harm,
        streams::the_linear_token_goes_to_a_worker_key_alone,
        leases::the_next_event_of_a_session_is_offered_once_the_one_before_is_accepted,
        leases::sessions_do_not_wait_for_each_other,
        leases::acks_may_be_repeated,
        leases::an_ack_under_another_token_is_stale_and_changes_nothing,
        leases::an_ack_for_an_event_that_was_never_made_is_unknown,
        leases::done_releases_the_lease_and_the_next_event_gets_a_higher_token,
        leases::an_offer_whose_stream_closes_is_offered_again_uncounted,
        leases::an_offer_of_a_closed_stream_goes_to_the_next_worker_at_once,
        leases::an_offer_that_nobody_accepts_ends_the_stream_and_is_offered_again_uncounted,
        leases::an_offer_that_one_worker_does_not_accept_goes_to_the_next,
        leases::an_accepted_event_is_named_in_hello_and_not_offered_again,
        leases::a_retry_is_offered_again_and_counted,
        leases::a_heartbeat_names_the_leases_that_are_not_held,
        leases::a_stop_cancels_what_waits_before_it,
        leases::a_lapsed_session_moves_to_another_worker_under_a_higher_token,
        leases::a_lease_that_is_renewed_does_not_move,
        leases::everything_stored_outlives_workerd,
    ];
    suite::main(&settings, Duration::from_secs(120), list)
}
