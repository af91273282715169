//! Recorded output of an agent's program, in the forms it is kept in: plain lines, two-way lines
//! `{"dir":"in|out","line":…}`, or one JSON array of messages.
//! Neighbours: `claude::replay` and `codex::replay` judge what is read here.
//! It must never fail: what cannot be read is handed on as the bytes that it is.

use serde_json::{Deserializer, Value};
use shared::surrogate;
use tokio_util::bytes::Bytes;

use super::lines::{Line, LineReader};

/// One line of a recording.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The program wrote it.
    Out(Line),
    /// It was written to the program.
    In(Value),
}

/// The lines of a recording, in order.
pub fn read(bytes: &[u8]) -> Vec<Entry> {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins == Some(&b'[') {
        return elements(bytes);
    }
    let mut lines = LineReader::default();
    lines.push(bytes);
    let mut entries = Vec::new();
    while let Some(line) = lines.next_line().or_else(|| lines.last_line()) {
        entries.push(entry(line));
    }
    // One object over several lines, as a person formats it.
    if begins == Some(&b'{')
        && matches!(entries.first(), Some(Entry::Out(Line::Whole(first))) if !is_object(first))
        && is_object(bytes)
    {
        return vec![Entry::Out(Line::Whole(Bytes::copy_from_slice(bytes)))];
    }
    entries
}

fn is_object(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() && bytes.trim_ascii().starts_with(b"{")
}

/// The first text of this name in what the program wrote: for recordings whose beginning is missing.
pub fn first_text(entries: &[Entry], name: &str) -> Option<String> {
    entries.iter().find_map(|entry| match entry {
        Entry::Out(Line::Whole(bytes)) => {
            let value = surrogate::parse::<Value>(&String::from_utf8_lossy(bytes)).ok()?;
            value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        }
        _ => None,
    })
}

/// The elements of an array, as many as can be read; what is left is one more line.
fn elements(bytes: &[u8]) -> Vec<Entry> {
    let mut rest = bytes.trim_ascii().get(1..).unwrap_or_default();
    let mut entries = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if rest.is_empty() || rest == b"]" {
            return entries;
        }
        let mut values = Deserializer::from_slice(rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else {
            entries.push(Entry::Out(Line::Whole(Bytes::copy_from_slice(rest))));
            return entries;
        };
        let end = values.byte_offset();
        rest = rest.get(end..).unwrap_or_default();
        entries.push(Entry::Out(Line::Whole(value.to_string().into())));
    }
}

/// Takes a two-way line out of its wrapper.
fn entry(line: Line) -> Entry {
    let Line::Whole(bytes) = &line else { return Entry::Out(line) };
    // The wrapper is short: a line without the word near its beginning or end is not read twice.
    let near = |part: &[u8]| part.windows(5).any(|window| window == b"\"dir\"");
    let begin = bytes.get(..bytes.len().min(256)).unwrap_or_default();
    let end = bytes.get(bytes.len().saturating_sub(256)..).unwrap_or_default();
    if !near(begin) && !near(end) {
        return Entry::Out(line);
    }
    let text = String::from_utf8_lossy(bytes);
    let Ok(Value::Object(mut wrapper)) = surrogate::parse::<Value>(&text) else { return Entry::Out(line) };
    let (Some(Value::String(dir)), Some(inner), None) =
        (wrapper.get("dir").cloned(), wrapper.remove("line"), wrapper.get("type"))
    else {
        return Entry::Out(line);
    };
    match (dir.as_str(), inner) {
        ("in", Value::String(text)) => Entry::In(surrogate::parse(&text).unwrap_or(Value::String(text))),
        ("in", inner) => Entry::In(inner),
        ("out", Value::String(text)) => Entry::Out(Line::Whole(text.into())),
        ("out", inner) => Entry::Out(Line::Whole(inner.to_string().into())),
        _ => Entry::Out(line),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn out(text: &str) -> Entry {
        Entry::Out(Line::Whole(Bytes::copy_from_slice(text.as_bytes())))
    }

    #[test]
    fn two_way_lines_leave_their_wrapper() {
        let text = concat!(
            "{\"dir\": \"in\", \"t\": 0.1, \"line\": {\"type\":\"user\"}}\n",
            "{\"t\": 0.1, \"line\": {\"type\":\"x\"}, \"dir\": \"out\"}\n",
            "{\"dir\":\"out\",\"line\":\"{\\\"type\\\":\\\"y\\\"}\"}\n",
            "{\"dir\":\"sideways\",\"line\":1}\n",
            "{\"type\":\"tool\",\"dir\":\"in\",\"line\":3}\n",
            "{\"dir\":\"out\",\"line\":{\"cut\n",
        );
        assert_eq!(
            read(text.as_bytes()),
            [
                Entry::In(json!({"type": "user"})),
                out("{\"type\":\"x\"}"),
                out("{\"type\":\"y\"}"),
                out("{\"dir\":\"sideways\",\"line\":1}"),
                out("{\"type\":\"tool\",\"dir\":\"in\",\"line\":3}"),
                out("{\"dir\":\"out\",\"line\":{\"cut"),
            ]
        );
    }

    #[test]
    fn an_array_is_its_elements_even_when_it_is_cut() {
        assert_eq!(read(b" [{\"a\":1},\n {\"b\":[2]} ]\n"), [out("{\"a\":1}"), out("{\"b\":[2]}")]);
        assert_eq!(read(b"[{\"a\":1},{\"b\":"), [out("{\"a\":1}"), out("{\"b\":")]);
        assert_eq!(read(b"[]"), []);
        assert_eq!(read(b"["), []);
    }

    #[test]
    fn an_object_over_several_lines_is_one() {
        let text = "{\n  \"type\": \"result\"\n}\n";
        assert_eq!(read(text.as_bytes()), [out(text)]);
        assert_eq!(read(b"{\n\"type\": \"res"), [out("{"), out("\"type\": \"res")]);
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", " \n\r\n"] {
            assert_eq!(read(text.as_bytes()), []);
        }
    }
}
