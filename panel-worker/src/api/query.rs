//! The parameters of a request's query string, checked; every refusal names the parameter.

use shared::problem::{Problem, ProblemCode};
use worker::Request;
use worker_shell::failure::{Answer, Failure};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 200;

/// The parameters as they came; of one that is there twice the first counts.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them.
    pub fn of(request: &Request) -> Answer<Self> {
        let url = request.url()?;
        Ok(Self(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `limit`: how many items a page has at most.
    pub fn limit(&self) -> Answer<u64> {
        self.parsed("limit", "a number from 1 to 200", |text| {
            text.parse::<u64>().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
        })
        .map(|limit| limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// One that must be `wanted`; `None`: it is not there.
    pub fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Answer<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| invalid(format!("`{name}` must be {wanted}"))),
        }
    }

    /// One that is somebody else's text: 1 to `max` bytes without control characters.
    pub fn text(&self, name: &str, max: usize) -> Answer<Option<String>> {
        self.parsed(name, &format!("1 to {max} bytes without control characters"), |text| {
            (1..=max)
                .contains(&text.len())
                .then_some(text)
                .filter(|text| !text.chars().any(char::is_control))
                .map(str::to_owned)
        })
    }

    /// `cursor` of a list that is ordered by time, then id: `<ms>.<id>`.
    pub fn cursor<Id: std::str::FromStr>(&self) -> Answer<Option<(i64, Id)>> {
        self.parsed("cursor", "one that this list gave", |text| {
            let (at, id) = text.split_once('.')?;
            Some((at.parse().ok()?, id.parse().ok()?))
        })
    }
}

/// The refusal of what is of the wrong shape.
pub fn invalid(detail: impl Into<String>) -> Failure {
    Problem::new(ProblemCode::InvalidRequest, detail).into()
}
