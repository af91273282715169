//! What shall fail, as a test sets it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// HTTP 400 with RATELIMITED; nothing is carried out.
    RateLimited,
    /// HTTP 500; nothing is carried out.
    #[serde(rename = "http_500")]
    Http500,
    /// The connection breaks; nothing is carried out.
    Drop,
    /// The request is carried out, then the connection breaks before the answer is through.
    DropAnswer,
    /// HTTP 401; nothing is carried out.
    Auth,
    /// The answer comes late by `delayMs`.
    Slow,
}

/// Something that shall fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Operation name or root field, in any case; any request when absent.
    #[serde(default)]
    pub operation: Option<String>,
    /// How it fails.
    pub kind: FaultKind,
    /// How many fitting requests fail.
    #[serde(default = "once")]
    pub times: u32,
    /// Wait before the fault shows, ms.
    #[serde(default)]
    pub delay_ms: u64,
}

const fn once() -> u32 {
    1
}

/// Most faults that are kept; more are ignored.
const CAP: usize = 1_000;

/// Faults in the order in which they were set.
#[derive(Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        if self.0.len() < CAP && fault.times > 0 {
            self.0.push_back(fault);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first fault that fits one of the names, used up by one.
    pub(super) fn take(&mut self, names: &[String]) -> Option<Fault> {
        let fits = |fault: &Fault| {
            fault.operation.as_deref().is_none_or(|wanted| {
                wanted == "*" || names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
            })
        };
        let at = self.0.iter().position(fits)?;
        let fault = self.0.get_mut(at)?;
        fault.times -= 1;
        let taken = fault.clone();
        if taken.times == 0 {
            self.0.remove(at);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fits_by_operation_or_root_field_and_wears_out() {
        let mut faults = Faults::default();
        let fault: Fault = serde_json::from_str(
            r#"{"operation":"AgentActivityCreate","kind":"http_500","times":2,"delayMs":5}"#,
        )
        .expect("a fault");
        faults.add(fault);
        assert_eq!(faults.take(&["Viewer".into(), "viewer".into()]), None);
        let sdk_names = ["createAgentActivity".to_owned(), "agentActivityCreate".to_owned()];
        for _ in 0..2 {
            assert_eq!(faults.take(&sdk_names).map(|fault| fault.kind), Some(FaultKind::Http500));
        }
        assert_eq!(faults.take(&sdk_names), None);
    }

    #[test]
    fn a_fault_with_an_unknown_kind_or_field_is_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"explode"}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"drop","opration":"x"}"#).is_err());
    }
}
