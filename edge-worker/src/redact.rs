//! Takes secrets out of whatever is to be stored or sent: those that this worker holds, in their usual disguises, and
//! whatever has the shape of somebody's key.
//!
//! Works on whole messages; what was cut short before must be given whole. It never fails and never changes a text
//! without a secret. Who calls it is the journal, before any line or effect is written.

mod disguise;
mod kept;
mod shape;
#[cfg(test)]
mod tests;

pub use kept::of_environment;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// Shorter values are no secrets, and would be found in ordinary words.
const SHORTEST: usize = 8;
/// Of a text that ends with this, the end was cut off, and with it perhaps the rest of a secret.
const CUT: char = '…';

/// Knows what must not be told. Clones share what they learn.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    values: BTreeSet<String>,
    /// All forms of all values.
    forms: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// One that knows these values. Shorter ones than 8 bytes are not taken.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let redactor = Self::default();
        redactor.learn(secrets);
        redactor
    }

    /// From now on these are secrets too.
    pub fn learn<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) {
        let fresh: Vec<String> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let trimmed = secrets.into_iter().map(|secret| secret.as_ref().trim().to_owned());
            trimmed.filter(|secret| secret.len() >= SHORTEST && !known.values.contains(secret)).collect()
        };
        if fresh.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.values.extend(fresh);
        let forms: BTreeSet<String> = known.values.iter().flat_map(|value| disguise::forms(value)).collect();
        known.forms = forms.into_iter().filter(|form| form.len() >= SHORTEST).collect();
        // All matches count, those inside others too: what overlaps is taken out as one.
        known.search = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&known.forms).ok();
    }

    /// The text without secrets; borrowed when there are none.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = shape::find(text);
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(search) = &known.search {
                found.extend(search.find_overlapping_iter(text).map(|one| one.range()));
            }
            found.extend(begun(&known.forms, text));
        }
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(text, found)) }
    }

    /// Takes secrets out of every string of a JSON value, names of fields included.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.value(field));
                let dirty: Vec<(String, String)> = fields
                    .keys()
                    .filter_map(|name| match self.text(name) {
                        Cow::Owned(clean) => Some((name.clone(), clean)),
                        Cow::Borrowed(_) => None,
                    })
                    .collect();
                for (name, clean) in dirty {
                    if let Some(field) = fields.remove(&name) {
                        fields.insert(clean, field);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The beginning of a known secret whose rest was cut off.
fn begun(forms: &[String], text: &str) -> Option<Range<usize>> {
    let whole = text.strip_suffix(CUT)?;
    let longest = |form: &String| {
        (SHORTEST..form.len())
            .rev()
            .filter(|length| form.is_char_boundary(*length))
            .find(|length| form.get(..*length).is_some_and(|begin| whole.ends_with(begin)))
    };
    let length = forms.iter().filter_map(longest).max()?;
    Some(whole.len() - length..whole.len())
}

/// The text with what was found replaced; what overlaps or touches is one.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    let mut found = found.into_iter().peekable();
    while let Some(mut range) = found.next() {
        while let Some(next) = found.next_if(|next| next.start <= range.end) {
            range.end = range.end.max(next.end);
        }
        clean.push_str(text.get(done..range.start).unwrap_or_default());
        clean.push_str(REDACTED);
        done = range.end;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    clean
}
