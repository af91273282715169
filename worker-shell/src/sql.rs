//! A Durable Object's own SQLite: queries with bound values, rows as types, transactions that roll back.

use std::cell::Cell;

use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
pub use worker::SqlStorageValue as Value;
use worker::{SqlStorage, State};

use crate::failure::{Answer, Failure};

#[wasm_bindgen]
extern "C" {
    /// A cursor as the platform gives it: the `worker` crate's own reads a row column by column.
    type Cursor;
    #[wasm_bindgen(method, structural)]
    fn raw(this: &Cursor) -> JsValue;
    #[wasm_bindgen(method, structural, getter, js_name = rowsRead)]
    fn rows_read(this: &Cursor) -> f64;
    #[wasm_bindgen(method, structural, getter, js_name = rowsWritten)]
    fn rows_written(this: &Cursor) -> f64;

    type Storage;
    #[wasm_bindgen(method, structural, variadic, catch)]
    fn exec(this: &Storage, query: &str, bindings: js_sys::Array) -> Result<Cursor, JsValue>;
}

thread_local! {
    static COUNTED: Cell<Option<Rows>> = const { Cell::new(None) };
}

/// Rows that statements have touched, as the platform bills them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rows {
    /// Read.
    pub read: f64,
    /// Written.
    pub written: f64,
}

/// Begins to count rows in this isolate; each statement costs two more calls into the platform.
pub fn count_rows() {
    COUNTED.with(|counted| counted.set(counted.get().or(Some(Rows::default()))));
}

/// What was counted since the last time this was asked.
pub fn counted_rows() -> Rows {
    COUNTED
        .with(|counted| counted.get().map(|rows| counted.replace(Some(Rows::default())).unwrap_or(rows)))
        .unwrap_or_default()
}

/// The object's database.
#[derive(Clone)]
pub struct Sql(SqlStorage);

impl Sql {
    /// The database of the object whose state this is.
    pub fn of(state: &State) -> Self {
        Self(state.storage().sql())
    }

    /// Runs a statement. Positional `?` take `values`.
    pub fn run(&self, statement: &str, values: Vec<Value>) -> Answer<()> {
        self.exec(statement, values).map(|cursor| count(&cursor))
    }

    /// The first column of all rows of a query, which must be text.
    pub fn texts(&self, query: &str, values: Vec<Value>) -> Answer<Vec<String>> {
        let cursor = self.exec(query, values)?;
        let rows = js_sys::Array::from(&cursor.raw());
        count(&cursor);
        let text = |row: JsValue| row.unchecked_into::<js_sys::Array>().get(0).as_string();
        rows.iter().map(|row| text(row).ok_or_else(|| Failure::internal("a column is not text"))).collect()
    }

    /// The size of the database in bytes, free pages left out.
    pub fn size(&self) -> u64 {
        self.0.database_size() as u64
    }

    fn exec(&self, statement: &str, values: Vec<Value>) -> Answer<Cursor> {
        let bindings = js_sys::Array::new_with_length(u32::try_from(values.len()).unwrap_or(0));
        for (index, value) in (0..).zip(values) {
            bindings.set(index, value.into());
        }
        let storage: &JsValue = self.0.as_ref();
        storage
            .unchecked_ref::<Storage>()
            .exec(statement, bindings)
            .map_err(|error| Failure::from(worker::Error::from(error)))
    }

    /// All rows of a query. Columns are matched by name.
    pub fn rows<T: DeserializeOwned>(&self, query: &str, values: Vec<Value>) -> Answer<Vec<T>> {
        let cursor = self.0.exec(query, values)?;
        let rows = cursor.to_array()?;
        COUNTED.with(|counted| {
            if let Some(Rows { read, written }) = counted.get() {
                let read = read + cursor.rows_read() as f64;
                counted.set(Some(Rows { read, written: written + cursor.rows_written() as f64 }));
            }
        });
        Ok(rows)
    }

    /// The first row of a query, if there is one.
    pub fn first<T: DeserializeOwned>(&self, query: &str, values: Vec<Value>) -> Answer<Option<T>> {
        Ok(self.rows(query, values)?.into_iter().next())
    }
}

fn count(cursor: &Cursor) {
    COUNTED.with(|counted| {
        if let Some(rows) = counted.get() {
            let (read, written) = (rows.read + cursor.rows_read(), rows.written + cursor.rows_written());
            counted.set(Some(Rows { read, written }));
        }
    });
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
