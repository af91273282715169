//! The proxy from outside: what Linear sends, and what an edge that speaks by hand is told.
//!
//! Each group of tests has a system of its own, with its own numbers of delivery. Only the last one has a real edge;
//! in the others nothing happens that a test did not do itself.

mod balance;
mod choice;
mod dead_letters;
mod differential;
mod duplicates;
mod first_thought;
mod idle;
mod issue_events;
mod lapse;
mod leases;
mod open;
mod order;
mod panel_commands;
mod real_edge;
mod refusals;
mod routes;
mod streams;
mod together;
mod transports;

use std::process::ExitCode;
use std::time::Duration;

use e2e::suite::{self, Group, without_edges};
use e2e::tests;

fn main() -> ExitCode {
    let plain = Group {
        arguments: without_edges(&["offerMs=4000", "heartbeatLineMs=1000"]),
        beside: false,
        tests: tests![
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
            together::each_of_many_at_once_gets_its_own_answer,
            together::webhooks_whose_senders_leave_do_not_hold_up_those_that_stay,
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
            routes::every_route_refuses_other_methods_and_names_the_right_one,
            routes::every_route_wants_a_worker_key_that_the_hub_knows,
            routes::a_worker_that_the_key_never_registered_is_unknown_to_every_route_that_wants_one,
            routes::nothing_of_the_hubs_own_interface_is_reachable_from_outside,
            routes::nasty_bodies_are_refused_on_every_route_with_a_short_reason_and_change_nothing,
            routes::nasty_registrations_that_are_sound_are_taken_as_they_are,
            routes::nasty_queries_of_deliveries_are_refused_and_sound_ones_page_through_all,
            order::an_event_that_is_done_out_of_turn_stays_accepted_until_the_earlier_one_is_done,
            order::an_ack_that_comes_after_its_offer_ended_still_counts_while_nobody_else_has_it,
            order::an_ack_that_comes_after_another_worker_got_the_event_is_stale,
            order::a_prompt_that_comes_before_its_session_was_created_is_the_first_event,
            order::two_agent_sessions_on_one_issue_go_to_one_worker_under_one_lease,
            transports::both_transports_carry_the_same_lines,
            transports::a_websocket_answers_a_heartbeat_with_the_same_text_and_passes_over_anything_else,
            transports::a_stream_of_either_transport_replaces_the_other,
            transports::a_body_over_a_mebibyte_arrives_whole_over_either_transport,
            transports::a_stop_overtakes_over_a_websocket_too,
            panel_commands::feedback_and_stop_in_the_panel_reach_the_sessions_worker_as_its_next_events,
            panel_commands::a_run_that_a_person_starts_without_an_issue_is_an_event_that_linear_never_hears_of,
            panel_commands::a_run_that_a_person_starts_on_an_issue_is_one_event_though_linear_tells_of_it_too,
            panel_commands::a_check_carries_its_result_back_in_the_done_ack,
            panel_commands::a_check_with_no_worker_on_line_says_so,
            panel_commands::a_change_of_the_configuration_is_a_line_on_every_stream_and_in_the_next_hello,
            panel_commands::a_revoked_key_ends_its_streams_and_frees_its_sessions_at_once,
            issue_events::an_edit_reaches_the_worker_that_is_at_work_and_is_kept_for_nobody_else,
            issue_events::the_end_of_an_issue_overtakes_what_waits_and_stops_the_worker,
            issue_events::work_that_waits_for_a_worker_is_closed_with_its_issue_and_linear_hears_why,
            issue_events::a_worker_of_the_protocol_before_goes_on_and_gets_no_kind_that_it_cannot_read,
            choice::what_every_worker_rejects_is_offered_once_more_with_the_wish_to_ask,
            choice::a_lone_worker_that_rejects_is_asked_to_ask,
            choice::an_event_of_a_team_or_a_tagged_repository_goes_to_the_worker_that_serves_it,
            choice::a_worker_that_is_leaving_gets_no_new_session_and_finishes_the_open_ones,
            choice::a_worker_never_has_more_open_sessions_than_its_slots_whatever_it_says,
            leases::everything_stored_outlives_workerd,
        ],
    };
    let short = Group {
        arguments: without_edges(&lapse::SHORT),
        beside: false,
        tests: tests![
            lapse::a_worker_whose_session_moved_is_refused_everywhere_and_leaves_no_trace,
            lapse::a_stop_while_the_lease_has_lapsed_is_answered_by_the_proxy_and_told_to_the_worker_that_returns,
            lapse::a_stop_with_nobody_there_at_all_is_answered_by_the_proxy_once,
            lapse::a_lone_worker_that_sleeps_past_lease_and_grace_again_and_again_makes_no_dead_letter,
            lapse::a_worker_that_renews_its_lease_without_a_stream_keeps_its_session,
            lapse::a_lease_that_a_heartbeat_does_not_name_lapses_and_moves,
            lapse::a_lapsed_session_moves_to_another_worker_under_a_higher_token,
            dead_letters::an_event_that_is_tried_in_vain_becomes_a_dead_letter_that_linear_hears_of_and_a_person_replays,
            dead_letters::a_dead_letter_is_replayed_by_its_delivery_id_and_dismissed_for_good,
            dead_letters::what_a_stop_cancelled_can_be_replayed_and_an_unknown_delivery_cannot,
            choice::a_worker_that_says_no_for_ever_makes_a_dead_letter_and_no_endless_loop,
            choice::a_worker_that_never_accepts_is_passed_over_and_shown,
            first_thought::acceptance_around_a_shorter_time_makes_one_first_thought_each,
            first_thought::a_worker_that_accepts_at_once_is_the_only_one_to_speak,
        ],
    };
    let defaults = Group {
        arguments: without_edges(&first_thought::DEFAULTS),
        beside: true,
        tests: tests![
            first_thought::without_a_worker_the_proxy_gives_it_within_ten_seconds_and_a_later_worker_does_not_repeat_it,
            first_thought::acceptance_just_before_at_and_after_five_seconds_makes_one_first_thought_each,
        ],
    };
    let shares = Group {
        arguments: without_edges(&balance::SHARES),
        beside: false,
        tests: tests![
            balance::open_work_spreads_by_weight_sticks_over_reconnects_and_leaves_a_killed_worker_once,
            balance::after_workerd_was_killed_in_a_quiet_time_a_follow_up_waits_for_the_worker_of_its_session,
        ],
    };
    let never = Group {
        arguments: without_edges(&balance::NEVER),
        beside: true,
        tests: tests![
            balance::with_takeover_never_a_session_waits_for_its_worker_and_goes_on_under_the_same_token,
            balance::a_stream_that_ends_after_so_many_lines_loses_and_repeats_nothing,
        ],
    };
    let idle = Group {
        arguments: without_edges(&idle::IDLE),
        beside: true,
        tests: tests![
            idle::ten_idle_streams_let_the_hub_leave_memory_and_an_event_reaches_the_right_one_at_once,
        ],
    };
    let mut with_an_edge = without_edges(&real_edge::LAPSES);
    with_an_edge.splice(..2, ["--edges", "1"]);
    let real = Group {
        arguments: with_an_edge,
        beside: false,
        tests: tests![
            real_edge::a_stop_while_the_edge_is_dead_ends_the_session_and_no_run_begins_when_it_returns,
        ],
    };
    suite::groups(Duration::from_secs(180), vec![plain, short, defaults, shares, never, idle, real])
}
