//! A Durable Object's own SQLite: queries with bound values, rows as types, transactions that roll back.

use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
pub use worker::SqlStorageValue as Value;
use worker::{SqlStorage, State};

use crate::failure::{Answer, Failure};

/// The object's database.
pub struct Sql(SqlStorage);

impl Sql {
    /// The database of the object whose state this is.
    pub fn of(state: &State) -> Self {
        Self(state.storage().sql())
    }

    /// Runs a statement. Positional `?` take `values`.
    pub fn run(&self, statement: &str, values: Vec<Value>) -> Answer<()> {
        self.0.exec(statement, values)?;
        Ok(())
    }

    /// All rows of a query. Columns are matched by name.
    pub fn rows<T: DeserializeOwned>(&self, query: &str, values: Vec<Value>) -> Answer<Vec<T>> {
        Ok(self.0.exec(query, values)?.to_array()?)
    }

    /// The first row of a query, if there is one.
    pub fn first<T: DeserializeOwned>(&self, query: &str, values: Vec<Value>) -> Answer<Option<T>> {
        Ok(self.rows(query, values)?.into_iter().next())
    }
}

/// A number for a column. Numbers beyond 2^53 do not survive JavaScript and are refused.
pub fn int(number: u64) -> Answer<Value> {
    let number = i64::try_from(number).map_err(|_| Failure::internal("number beyond i64"))?;
    Ok(Value::try_from_i64(number)?)
}

/// An instant for a column, in milliseconds.
pub fn time(instant: shared::time::Timestamp) -> Value {
    Value::Integer(instant.as_millis())
}

/// Runs `work` in one transaction: it commits when `work` succeeds, else nothing of it stays.
///
/// The `worker` crate has no `transactionSync`, so the method is called by name.
pub fn transaction<T: 'static>(state: &State, work: impl FnOnce() -> Answer<T>) -> Answer<T> {
    let storage: JsValue = state.storage().as_raw().unchecked_ref::<JsValue>().clone();
    let run = js_sys::Reflect::get(&storage, &"transactionSync".into())
        .ok()
        .and_then(|method| method.dyn_into::<js_sys::Function>().ok())
        .ok_or_else(|| Failure::internal("the object has no transactionSync"))?;
    let (mut work, mut outcome) = (Some(work), None);
    let mut step = || -> Result<JsValue, JsValue> {
        match work.take().map(|work| work()) {
            Some(Ok(value)) => {
                outcome = Some(Ok(value));
                Ok(JsValue::UNDEFINED)
            }
            Some(Err(failure)) => {
                outcome = Some(Err(failure));
                Err(js_sys::Error::new("rolled back").into())
            }
            None => Ok(JsValue::UNDEFINED),
        }
    };
    let thrown = wasm_bindgen::prelude::ScopedClosure::borrow_mut(&mut step);
    let called = run.call1(&storage, thrown.as_js_value());
    drop(thrown);
    match (outcome, called) {
        (Some(outcome), _) => outcome,
        (None, Err(error)) => Err(Failure::internal(format!("transaction: {error:?}"))),
        (None, Ok(_)) => Err(Failure::internal("the transaction did not run")),
    }
}
