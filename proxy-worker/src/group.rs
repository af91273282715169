//! Hands webhooks to their hub: those of one isolate that come while a call is on its way share the next one.
//!
//! Whose turn it is, `shared::hub::group` says. Each webhook waits on a promise of its own request and goes on there,
//! since the runtime lets no request do another one's work; nothing here wakes a waiting webhook but that promise.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::{Function, Promise};
use shared::hub::call::Taken;
use shared::hub::group::{Group, STALE_MS};
use shared::id::OrgId;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::{Context, Delay, Env};
use worker_shell::{clock, log};

use crate::hub_stub;

thread_local! {
    static GROUPS: RefCell<HashMap<OrgId, Group<Rc<Waiter>>>> = RefCell::default();
}

/// A webhook waits so often for [`STALE_MS`]; then its sender is told to send again.
const PATIENCE: u32 = 9;

/// A webhook that waits.
#[derive(Default)]
struct Waiter {
    /// It is to send the next call.
    turn: Cell<bool>,
    taken: Cell<Option<Taken>>,
    wake: RefCell<Option<Function>>,
}

impl Waiter {
    /// A promise of the request that asks.
    ///
    /// By `withResolvers`: V8 compiles a hot `new Promise` into one that belongs to no request, and then whoever waits
    /// goes on in the request that woke it, where the runtime refuses its answer.
    fn promise(&self) -> Promise {
        let made = Promise::with_resolvers::<JsValue, JsValue>();
        self.wake.replace(Some(made.resolve().unchecked_into()));
        made.promise()
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.take() {
            // Its request goes on later and elsewhere; a request that has ended does not.
            let _ = wake.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Those that go in one call.
type Batch = Vec<(String, Rc<Waiter>)>;

/// Stores a framed event in the hub of `org`, alone or together with others.
pub async fn store(env: &Env, context: &Context, org: OrgId, framed: String) -> Taken {
    let waiter = Rc::new(Waiter::default());
    if with_group(org, |group| group.join(framed, waiter.clone(), clock::now())) {
        let batch = with_group(org, Group::take);
        if let [(event, only)] = batch.as_slice()
            && Rc::ptr_eq(only, &waiter)
        {
            let taken = call(env, org, std::slice::from_ref(event)).await;
            hand_on(org);
            return taken.first().copied().unwrap_or(Taken::Failed);
        }
        context.wait_until(send(env.clone(), org, batch));
    }
    wait(env, context, org, &waiter).await
}

async fn wait(env: &Env, context: &Context, org: OrgId, waiter: &Waiter) -> Taken {
    let mut woken = JsFuture::from(waiter.promise());
    let mut patience = PATIENCE;
    loop {
        // The runtime ends a request that waits for nothing but another one, so each has a timer of its own.
        let still = match select(woken, Delay::from(Duration::from_millis(STALE_MS.unsigned_abs()))).await {
            Either::Left(_) => None,
            Either::Right(((), still)) => {
                patience -= 1;
                if with_group(org, |group| group.claim(clock::now())) {
                    waiter.turn.set(true);
                }
                Some(still)
            }
        };
        if waiter.turn.take() {
            // It goes on even if this webhook's own sender has left: others are waiting for it.
            context.wait_until(send(env.clone(), org, with_group(org, Group::take)));
        }
        if let Some(taken) = waiter.taken.take().or((patience == 0).then_some(Taken::Failed)) {
            return taken;
        }
        woken = still.unwrap_or_else(|| JsFuture::from(waiter.promise()));
    }
}

fn with_group<T>(org: OrgId, look: impl FnOnce(&mut Group<Rc<Waiter>>) -> T) -> T {
    GROUPS.with_borrow_mut(|groups| look(groups.entry(org).or_default()))
}

/// One call for all of them, then the turn goes on.
async fn send(env: Env, org: OrgId, batch: Batch) {
    let (events, waiters): (Vec<String>, Vec<Rc<Waiter>>) = batch.into_iter().unzip();
    let mut taken = call(&env, org, &events).await.into_iter();
    for waiter in waiters {
        waiter.taken.set(Some(taken.next().unwrap_or(Taken::Failed)));
        waiter.wake();
    }
    hand_on(org);
}

/// What became of each; of none, where the hub could not be asked.
async fn call(env: &Env, org: OrgId, events: &[String]) -> Vec<Taken> {
    if events.is_empty() {
        return Vec::new();
    }
    hub_stub::deliver(env, org, events).await.unwrap_or_else(|failure| {
        log::error("store.failed", &[("reason", &failure.problem().detail)]);
        Vec::new()
    })
}

fn hand_on(org: OrgId) {
    GROUPS.with_borrow_mut(|groups| {
        let Some(group) = groups.get_mut(&org) else { return };
        match group.done(clock::now()) {
            Some(next) => {
                next.turn.set(true);
                next.wake();
            }
            None => {
                groups.remove(&org);
            }
        }
    });
}
