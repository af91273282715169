//! D1, with values bound by type. Statements are fixed texts; what comes from outside is always a value.

use serde::de::DeserializeOwned;
use shared::time::Timestamp;
use worker::wasm_bindgen::JsValue;
use worker::{D1PreparedStatement, Env};
use worker_shell::failure::{Answer, Failure};

/// A value to bind.
pub struct Value(JsValue);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(JsValue::from_str(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(JsValue::from_str(&text))
    }
}

impl From<Timestamp> for Value {
    fn from(instant: Timestamp) -> Self {
        Self::from(instant.as_millis())
    }
}

impl From<i64> for Value {
    /// Numbers are doubles in JavaScript; all of ours (ms, µUSD, counts) stay well below 2^53.
    fn from(number: i64) -> Self {
        Self(JsValue::from_f64(number as f64))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(JsValue::from_f64(number as f64))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(JsValue::NULL), Into::into)
    }
}

/// The panel's database.
pub struct Db(worker::D1Database);

impl Db {
    /// The database of this environment.
    pub fn of(env: &Env) -> Answer<Self> {
        Ok(Self(env.d1("DB")?))
    }

    /// A statement with its values, for [`Self::batch`].
    pub fn statement(&self, text: &str, values: Vec<Value>) -> Answer<D1PreparedStatement> {
        let values: Vec<JsValue> = values.into_iter().map(|value| value.0).collect();
        Ok(self.0.prepare(text).bind(&values)?)
    }

    /// Runs one statement.
    pub async fn run(&self, text: &str, values: Vec<Value>) -> Answer<()> {
        self.statement(text, values)?.run().await?;
        Ok(())
    }

    /// Runs statements in one transaction.
    pub async fn batch(&self, statements: Vec<D1PreparedStatement>) -> Answer<()> {
        let results = self.0.batch(statements).await?;
        match results.iter().find_map(worker::D1Result::error) {
            Some(error) => Err(Failure::internal(error)),
            None => Ok(()),
        }
    }

    /// The first row.
    pub async fn first<T: DeserializeOwned>(&self, text: &str, values: Vec<Value>) -> Answer<Option<T>> {
        Ok(self.statement(text, values)?.first(None).await?)
    }

    /// All rows.
    pub async fn rows<T: DeserializeOwned>(&self, text: &str, values: Vec<Value>) -> Answer<Vec<T>> {
        Ok(self.statement(text, values)?.all().await?.results()?)
    }
}
