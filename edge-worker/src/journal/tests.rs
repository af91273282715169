//! The journal's promises: taken once, ended as one, told again after a restart.

use shared::event::{AgentSession, Event, EventBody};
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, LinearWorkspaceId, Seq, SessionId, SessionKey,
    WorkerId,
};
use shared::linear::activity::ActivityContent;
use shared::log_line::{LogLevel, LogLine};
use shared::money::MicroUsd;
use uuid::Uuid;

use super::effect::{Effect, Lane};
use super::event::{Finished, Known, Taken};
use super::run::{Held, Told};
use super::{Journal, JournalError};
use crate::executor::{Output, Place};
use crate::session::stage::new_run;
use crate::worker::{fresh_uuid, now};
use shared::turn::{Fact, Turn};

fn open(folder: &std::path::Path) -> Journal {
    Journal::open(folder, WorkerId::from_uuid(fresh_uuid())).unwrap()
}

fn taken(seq: u64, token: u64) -> Taken {
    let agent_session = AgentSession {
        id: AgentSessionId::from("as"),
        url: None,
        issue: None,
        comment: None,
        creator_name: None,
        local: false,
    };
    Taken {
        seq: Seq(seq),
        session_key: SessionKey::from("key"),
        token: FencingToken(token),
        first_thought: false,
        takeover: false,
        repository: None,
        ask: false,
        turn_over: false,
        turn: None,
        event: Event {
            id: EventId::from_uuid(fresh_uuid()),
            delivery_id: DeliveryId::from("d"),
            received_at: now(),
            workspace_id: LinearWorkspaceId::from("w"),
            body: EventBody::SessionPrompted {
                agent_session,
                activity_id: "a".into(),
                text: "hi\u{0}\u{1f980}".into(),
                from_panel: false,
            },
        },
    }
}

fn line(message: &str) -> LogLine {
    LogLine {
        seq: 0,
        level: LogLevel::Info,
        message: message.into(),
        metadata: serde_json::Value::Null,
        timestamp: now(),
        run_id: None,
    }
}

fn answer() -> Effect {
    Effect::Activity {
        id: Uuid::new_v4(),
        content: ActivityContent::Response { body: "done".into() },
        ephemeral: false,
    }
}

#[tokio::test]
async fn an_event_offered_again_is_not_new_and_takes_the_newer_token() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    assert_eq!(journal.take(taken(1, 1)).await.unwrap(), Known::New);
    assert_eq!(journal.take(taken(1, 2)).await.unwrap(), Known::Open);
    assert_eq!(journal.open_events().await.unwrap()[0].token, FencingToken(2));
    journal.finish(vec![Seq(1)]).await.unwrap();
    assert_eq!(journal.take(taken(1, 2)).await.unwrap(), Known::Done);
}

#[tokio::test]
async fn an_event_that_was_given_up_and_comes_again_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.take(taken(1, 1)).await.unwrap();
    journal.give_up(vec![Seq(1)]).await.unwrap();
    assert!(journal.open_events().await.unwrap().is_empty());
    assert_eq!(journal.take(taken(1, 3)).await.unwrap(), Known::New);
    assert_eq!(journal.open_events().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_in_the_hubs_order() {
    let folder = tempfile::tempdir().unwrap();
    let worker = {
        let journal = open(folder.path());
        for seq in [3, 1, 2] {
            journal.take(taken(seq, 1)).await.unwrap();
        }
        journal.worker_id()
    };
    let journal = open(folder.path());
    assert_eq!(journal.worker_id(), worker, "the id is made with the file");
    let seqs: Vec<u64> = journal.open_events().await.unwrap().iter().map(|taken| taken.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(journal.missing(vec![Seq(2), Seq(9)]).await.unwrap(), [Seq(9)]);
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = Journal::open(folder.path(), WorkerId::from_uuid(fresh_uuid()));
    assert!(matches!(second, Err(JournalError::Locked { .. })));
}

#[tokio::test]
async fn a_turn_ends_together_with_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let (id, key) = (AgentSessionId::from("as"), SessionKey::from("key"));
    journal.take(taken(1, 1)).await.unwrap();
    journal.session(&id, &key).await.unwrap();
    let new = new_run("conversation");
    let run = new.id;
    let turn = Turn::of(Seq(1)).after(Fact::Begins { run }).unwrap();
    journal.run_begins(&id, turn.clone(), new).await.unwrap();
    assert_eq!(journal.session(&id, &key).await.unwrap().open_run, Some(run));
    assert_eq!(journal.turn(&id, Seq(1)).await.unwrap(), Some(turn.clone()));
    let over = turn.after(Fact::Ends).unwrap();
    journal.turn_ends(&id, over, Some((run, Some(MicroUsd(7)))), vec![answer()]).await.unwrap();
    let remembered = journal.session(&id, &key).await.unwrap();
    assert_eq!(remembered.open_run, None);
    assert_eq!(journal.conversation_cost("conversation").await.unwrap(), MicroUsd(7));
    assert_eq!(
        journal.conversation_cost("another").await.unwrap(),
        MicroUsd(0),
        "spent is of a conversation"
    );
    assert!(journal.open_events().await.unwrap()[0].turn_over, "it is not run again");
    assert!(journal.next_effect(&id, Lane::Linear).await.unwrap().is_some());
}

#[tokio::test]
async fn effects_leave_in_order_and_a_lane_does_not_wait_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let id = AgentSessionId::from("as");
    let (first, second) = (answer(), answer());
    journal.add_effect(&id, first.clone()).await.unwrap();
    journal.add_effect(&id, second.clone()).await.unwrap();
    let (row, effect) = journal.next_effect(&id, Lane::Linear).await.unwrap().unwrap();
    assert_eq!(effect, first);
    assert!(journal.next_effect(&id, Lane::Panel).await.unwrap().is_none());
    journal.effect_done(row).await.unwrap();
    let (row, effect) = journal.next_effect(&id, Lane::Linear).await.unwrap().unwrap();
    assert_eq!(effect, second);
    journal.effect_failed(row).await.unwrap();
    assert!(journal.next_effect(&id, Lane::Linear).await.unwrap().is_none());
}

#[tokio::test]
async fn lines_are_numbered_without_holes_and_kept_until_the_panel_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let id = AgentSessionId::from("as");
    journal.session(&id, &SessionKey::from("key")).await.unwrap();
    assert_eq!(journal.add_lines(&id, vec![line("a"), line("b")]).await.unwrap(), 2);
    assert_eq!(journal.add_lines(&id, vec![line("c")]).await.unwrap(), 3);
    journal.lines_stored(&id, 2).await.unwrap();
    let rest = journal.lines_after(&id, 0).await.unwrap();
    assert_eq!(rest.len(), 3, "they are kept for whoever asks");
    let rest = journal.lines_after(&id, 2).await.unwrap();
    assert_eq!(rest.iter().map(|line| (line.seq, line.message.as_str())).collect::<Vec<_>>(), [(3, "c")]);
    assert_eq!(journal.line_marks(&id).await.unwrap(), (2, 3));
}

#[tokio::test]
async fn a_new_journal_goes_on_where_the_panel_is() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let id = AgentSessionId::from("as");
    journal.session(&id, &SessionKey::from("key")).await.unwrap();
    let panel_id = SessionId::from_uuid(fresh_uuid());
    journal.set_panel_id(&id, panel_id, 41).await.unwrap();
    assert_eq!(journal.add_lines(&id, vec![line("a")]).await.unwrap(), 41);
    assert_eq!(journal.line_marks(&id).await.unwrap(), (40, 41));
    assert_eq!(journal.panel_id(&id).await.unwrap(), Some(panel_id));
}

#[tokio::test]
async fn done_events_are_told_until_the_hub_confirms() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.take(taken(1, 5)).await.unwrap();
    journal.finish(vec![Seq(1)]).await.unwrap();
    assert_eq!(
        journal.unconfirmed().await.unwrap(),
        [Finished { seq: Seq(1), token: FencingToken(5), result: None }]
    );
    journal.confirm(vec![Seq(1)]).await.unwrap();
    assert!(journal.unconfirmed().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_of_the_version_before_is_brought_up_to_date_with_its_open_events() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    file.execute_batch(super::schema::MIGRATIONS[0]).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    let event = serde_json::to_string(&taken(7, 2).event).unwrap();
    file.execute(
        "INSERT INTO events (seq, session_key, token, state, first_thought, takeover, event) VALUES (7, 'key', 2, 'open', 0, 0, ?1)",
        [event],
    )
    .unwrap();
    drop(file);
    let open = open(folder.path()).open_events().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].seq, open[0].repository.as_deref(), open[0].ask), (Seq(7), None, false));
}

#[tokio::test]
async fn a_chosen_repository_stays_with_its_event_and_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let (id, key) = (AgentSessionId::from("as"), SessionKey::from("key"));
    journal.take(Taken { repository: Some("a".into()), ..taken(1, 1) }).await.unwrap();
    journal.take(taken(1, 2)).await.unwrap();
    assert_eq!(journal.open_events().await.unwrap()[0].repository.as_deref(), Some("a"), "offered again");
    journal.session(&id, &key).await.unwrap();
    journal.asks(&id, "wanted".into(), Seq(1), vec![answer()]).await.unwrap();
    assert!(journal.whereabouts(&id, &key).await.unwrap().asked);
    journal.set_repository(&id, "b".into()).await.unwrap();
    let other = journal.whereabouts(&AgentSessionId::from("other"), &key).await.unwrap();
    assert_eq!((other.own, other.asked, other.of_key.as_deref()), (None, false, Some("b")));
    let remembered = journal.session(&id, &key).await.unwrap();
    assert_eq!((remembered.repository.as_deref(), remembered.asked), (Some("b"), None));
}

#[tokio::test]
async fn the_result_of_a_check_goes_along_until_the_hub_confirms() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.take(taken(1, 5)).await.unwrap();
    let result = serde_json::json!({"ok": false, "reason": "no\u{0}"});
    journal.finish_with(Seq(1), result.clone()).await.unwrap();
    let expected = Finished { seq: Seq(1), token: FencingToken(5), result: Some(result) };
    assert_eq!(journal.unconfirmed().await.unwrap(), [expected]);
}

#[tokio::test]
async fn a_file_of_a_newer_cyrus_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    rusqlite::Connection::open(folder.path().join("state.db"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Journal::open(folder.path(), WorkerId::from_uuid(fresh_uuid()));
    assert!(matches!(error, Err(JournalError::Newer { version: 99, .. })));
}

#[tokio::test]
async fn a_line_what_is_said_about_it_and_the_place_behind_it_are_written_down_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let (id, key) = (AgentSessionId::from("as"), SessionKey::from("key"));
    journal.session(&id, &key).await.unwrap();
    journal.add_lines(&id, vec![line("before")]).await.unwrap();
    let new = new_run("c");
    let run = new.id;
    journal.run_begins(&id, Turn::of(Seq(1)), new).await.unwrap();
    let places = vec![Place { output: Output::Out, end: 30 }, Place { output: Output::Err, end: 4 }];
    let effect = answer();
    let said = effect.clone();
    let compose = move |first| (vec![said], Some(Held { text: "words".into(), line: first + 1 }));
    let told = Told { run, places, lines: vec![line("a"), line("b")], compose };
    let held = journal.tell(&id, told).await.unwrap();
    assert_eq!(held, Some(Held { text: "words".into(), line: 3 }));
    let left = journal.left_run(run).await.unwrap().unwrap();
    assert_eq!((left.out_at, left.err_at, left.held), (30, 4, held));
    assert_eq!(journal.line_marks(&id).await.unwrap().1, 3);
    let (row, _) = journal.next_effect(&id, Lane::Linear).await.unwrap().unwrap();
    journal.effect_done(row).await.unwrap();
    journal.add_effect(&id, effect).await.unwrap();
    assert!(
        journal.next_effect(&id, Lane::Linear).await.unwrap().is_none(),
        "the same effect is not said again"
    );
}

#[tokio::test]
async fn one_piece_of_work_that_fails_undoes_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let good = AgentSessionId::from("good");
    journal.session(&good, &SessionKey::from("key")).await.unwrap();
    let (good, nowhere) = (&good, &AgentSessionId::from("nowhere"));
    let work = (0..40).map(|number| {
        let id = if number % 2 == 0 { good } else { nowhere };
        journal.add_lines(id, vec![line("x")])
    });
    let done = futures_util::future::join_all(work).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 20);
    assert_eq!(journal.line_marks(good).await.unwrap(), (0, 20));
}

#[tokio::test]
async fn an_event_that_a_turn_took_in_is_known_as_its_own_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let id = AgentSessionId::from("as");
    {
        let journal = open(folder.path());
        journal.take(taken(1, 1)).await.unwrap();
        journal.take(taken(2, 1)).await.unwrap();
        journal.take(taken(3, 1)).await.unwrap();
        let turn = Turn::of(Seq(1)).after(Fact::Takes { seq: Seq(2) }).unwrap();
        journal.save_turn(&id, turn.after(Fact::Takes { seq: Seq(3) }).unwrap()).await.unwrap();
        journal.save_turn(&id, turn).await.unwrap();
    }
    let journal = open(folder.path());
    let turns: Vec<Option<Seq>> =
        journal.open_events().await.unwrap().iter().map(|taken| taken.turn).collect();
    assert_eq!(turns, [Some(Seq(1)), Some(Seq(1)), None]);
    journal.give_up(vec![Seq(1), Seq(2)]).await.unwrap();
    journal.take(taken(1, 2)).await.unwrap();
    assert_eq!(journal.turn(&id, Seq(1)).await.unwrap(), None, "what comes back begins anew");
}
