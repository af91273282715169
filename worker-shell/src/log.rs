//! Structured logs: one JSON object a line. Never a body, never a secret; ids, codes and counts only.

use serde_json::{Map, Value};

/// Something that went as it should.
pub fn info(event: &str, fields: &[(&str, &str)]) {
    worker::console_log!("{}", line("info", event, fields));
}

/// Something that an operator should look at.
pub fn error(event: &str, fields: &[(&str, &str)]) {
    worker::console_error!("{}", line("error", event, fields));
}

fn line(level: &str, event: &str, fields: &[(&str, &str)]) -> Value {
    let mut object = Map::new();
    object.insert("level".into(), level.into());
    object.insert("event".into(), event.into());
    for (name, value) in fields {
        object.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(object)
}
