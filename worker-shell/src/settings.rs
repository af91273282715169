//! The numbers of delivery as the operator set them (`CYRUS_SETTINGS`), the same for both Workers.

use shared::settings::Settings;
use worker::Env;

use crate::credential;
use crate::failure::{Answer, Failure};

/// Reads them; a misspelled one is our failure, told in the log, rather than a silent default.
pub fn read(env: &Env) -> Answer<Settings> {
    let text = credential::setting(env, "CYRUS_SETTINGS").unwrap_or_default();
    Settings::parse(&text).map_err(|error| Failure::internal(format!("CYRUS_SETTINGS: {error}")))
}
