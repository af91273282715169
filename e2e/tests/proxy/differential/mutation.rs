//! Bodies changed by chance, from a seed: in their bytes, in their values, in how they are written and signed.

use e2e::system::System;
use serde_json::{Value, json};
use testkit::webhook::sign;

use super::{Case, sample};

/// Makes one case after the other; the same seed makes the same changes.
pub struct Mutator {
    state: u64,
    made: usize,
}

/// Bytes that hurt wherever they are put.
const TOKENS: [&[u8]; 22] = [
    b"\0",
    b"\xff",
    b"\xe2\x82",
    b"\xc0\xaf",
    b"\xed\xa0\xbd",
    b"\xef\xbb\xbf",
    b"\\",
    b"\\ud83d",
    b"\\u0000",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"1e400",
    b"-",
    b"\n",
    b" ",
    b"null",
    b"\xe2\x80\xae",
];

impl Mutator {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, made: 0 }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random() % bound.max(1) as u64).unwrap_or_default()
    }

    fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// The next case, with a stamp of `now`.
    pub fn next(&mut self, system: &System, now: i64) -> Case {
        self.made += 1;
        let secret = system.up.webhook_secrets.linear.clone();
        let bodies = sample::bodies(system, now);
        // Half of them agent sessions, which the proxy looks into.
        let last = if self.made.is_multiple_of(2) { 4 } else { bodies.len() };
        let (from, mut body) = bodies[self.below(last)].clone();
        let text = body.to_string().into_bytes();
        let at = self.below(text.len());
        let (what, bytes, signature) = match self.below(13) {
            0 => {
                let bytes = flipped(&text, at, self.below(8));
                (format!("bit {at} flipped, signed before"), bytes, Some(sign(&secret, &text)))
            }
            1 => (format!("bit {at} flipped"), flipped(&text, at, self.below(8)), None),
            2 => (format!("cut at {at}"), text[..at].to_vec(), None),
            3 => {
                let token = *self.one(&TOKENS);
                let bytes = [&text[..at], token, &text[at..]].concat();
                (format!("{:?} put in at {at}", String::from_utf8_lossy(token)), bytes, None)
            }
            4 => {
                let run = 1 + self.below(40);
                let end = (at + run).min(text.len());
                (format!("{run} bytes from {at} gone"), [&text[..at], &text[end..]].concat(), None)
            }
            5 => {
                let end = (at + 1 + self.below(40)).min(text.len());
                (format!("{at}..{end} twice"), [&text[..end], &text[at..]].concat(), None)
            }
            6 | 7 => {
                let path = self.path(&body);
                let value = self.nasty();
                let text = format!("{path} = {}", value.to_string().chars().take(40).collect::<String>());
                if let Some(place) = body.pointer_mut(&path) {
                    *place = value;
                }
                (text, body.to_string().into_bytes(), None)
            }
            8 => {
                let path = self.path(&body);
                let (parent, name) = path.rsplit_once('/').unwrap_or_default();
                if let Some(fields) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
                    fields.remove(name);
                }
                (format!("without {path}"), body.to_string().into_bytes(), None)
            }
            9 => {
                let names: Vec<String> =
                    body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
                let (name, value) = (self.one(&names).clone(), self.nasty());
                let twice = body.to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1);
                (format!("{name} twice"), twice.into_bytes(), None)
            }
            10 => {
                let depth = *self.one(&[1_usize, 10, 60, 62, 63, 64, 65, 127, 128, 129, 5_000]);
                (format!("{depth} deep"), sample::nested(&body, depth).into_bytes(), None)
            }
            11 => {
                let offset =
                    *self.one(&[-86_400_000_i64, -61_500, -58_000, -1, 0, 1, 30_000, 58_000, 90_000]);
                let form = *self.one(&["", ".0", ".999", "e0", "E+0", "e1", "\"", "n"]);
                let stamp = format!("{}{form}", now + offset);
                let stamp = if form == "\"" { format!("\"{stamp}") } else { stamp };
                body["webhookTimestamp"] = json!("STAMP");
                (format!("stamp {stamp}"), body.to_string().replace("\"STAMP\"", &stamp).into_bytes(), None)
            }
            _ => {
                let wrong = sample::wrong_signatures();
                let (name, make) = self.one(&wrong);
                let signature = make(&secret, &text);
                return Case {
                    name: format!("{from}: signature {name}"),
                    method: "POST",
                    signature,
                    body: text,
                };
            }
        };
        let signature = signature.or_else(|| Some(sign(&secret, &bytes)));
        Case { name: format!("{from}: {what}"), method: "POST", signature, body: bytes }
    }

    /// The place of one of the body's values, at any depth.
    fn path(&mut self, body: &Value) -> String {
        fn gather(value: &Value, at: &str, paths: &mut Vec<String>) {
            let parts: Vec<(String, &Value)> = match value {
                Value::Object(fields) => fields.iter().map(|(name, part)| (name.clone(), part)).collect(),
                Value::Array(items) => {
                    items.iter().enumerate().map(|(at, part)| (at.to_string(), part)).collect()
                }
                _ => Vec::new(),
            };
            for (name, part) in parts {
                let path = format!("{at}/{name}");
                gather(part, &path, paths);
                paths.push(path);
            }
        }
        let mut paths = Vec::new();
        gather(body, "", &mut paths);
        self.one(&paths).clone()
    }

    fn nasty(&mut self) -> Value {
        let values = [
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(-0.0),
            json!(1e308),
            json!(u64::MAX),
            json!(0.1),
            json!(""),
            json!("\0"),
            json!("x".repeat(128)),
            json!("x".repeat(129)),
            json!("é".repeat(64)),
            json!("é".repeat(65)),
            json!("x".repeat(70_000)),
            json!("\u{202e}\u{feff}\u{10ffff}"),
            json!("' OR 1=1 --"),
            json!("created"),
            json!("stop"),
            json!([]),
            json!([null]),
            json!({}),
            json!({"id": "x"}),
            json!({"id": null}),
            json!({"body": "b"}),
            json!("AgentSessionEvent"),
            json!("prompted"),
        ];
        self.one(&values).clone()
    }
}

fn flipped(text: &[u8], at: usize, bit: usize) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes[at] ^= 1 << bit;
    bytes
}
