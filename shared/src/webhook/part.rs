//! Parts of a webhook's body, read straight into what is needed of them: no tree of values is built.
//!
//! As forgiving as a look-up in such a tree: what is of another type is as if it were absent, unknown fields are
//! passed over, and of a field that stands twice the last one counts. Which part is needed is [`super::linear`]'s to say.

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text; anything else is no text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub Option<String>);

impl Text {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Whether a field is there at all, `null` included, and the text that it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Was(pub Option<Text>);

impl<'de> Deserialize<'de> for Was {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| Self(Some(text)))
    }
}

/// `true`; anything else is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A list of parts; anything else is an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What a value of no interest leaves behind.
macro_rules! nothing {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    )*};
}

/// All scalars but texts.
macro_rules! no_scalars {
    () => {
        nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

/// Passes over a list.
fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Passes over an object.
fn skip_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Text;
            no_scalars!();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
                Ok(Text(Some(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Text, A::Error> {
                skip_list(list).map(|()| Text::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Text, A::Error> {
                skip_object(object).map(|()| Text::default())
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Flag;
            nothing!(visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E: Error>(self, set: bool) -> Result<Flag, E> {
                Ok(Flag(set))
            }

            fn visit_unit<E: Error>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Flag, A::Error> {
                skip_list(list).map(|()| Flag(false))
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Flag, A::Error> {
                skip_object(object).map(|()| Flag(false))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<T>(core::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reads<T> {
            type Value = List<T>;
            no_scalars!();
            nothing!(visit_str(&str));

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(List(parts))
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<List<T>, A::Error> {
                skip_object(object).map(|()| List::default())
            }
        }
        deserializer.deserialize_any(Reads(core::marker::PhantomData))
    }
}

/// Makes an object of named parts: `None` where the value is no object.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $key:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            /// It is an object at all.
            pub is_object: bool,
            $(#[doc = concat!("`", $key, "`.")] pub $field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reads;
                impl<'de> Visitor<'de> for Reads {
                    type Value = $name;
                    no_scalars!();
                    nothing!(visit_str(&str));

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any value")
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<$name, A::Error> {
                        skip_list(list).map(|()| $name::default())
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<$name, A::Error> {
                        let mut parts = $name { is_object: true, ..$name::default() };
                        while let Some(key) = object.next_key::<Text>()? {
                            match key.as_str().unwrap_or_default() {
                                $($key => parts.$field = object.next_value()?,)*
                                _ => {
                                    object.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(parts)
                    }
                }
                deserializer.deserialize_any(Reads)
            }
        }
    };
}

object!(
    /// `agentSession`.
    SessionPart {
        id: Text = "id",
        url: Text = "url",
        issue: IssuePart = "issue",
        comment: CommentPart = "comment",
        creator: NamePart = "creator",
    }
);
object!(
    /// `agentSession.issue`, `notification.issue`, or `data` of an issue.
    IssuePart {
        id: Text = "id",
        identifier: Text = "identifier",
        title: Text = "title",
        description: Text = "description",
        url: Text = "url",
        team_id: Text = "teamId",
        team: TeamPart = "team",
        updated_at: Text = "updatedAt",
        state: StatePart = "state",
        trashed: Flag = "trashed",
    }
);
object!(
    /// `data.state`.
    StatePart { kind: Text = "type" }
);
object!(
    /// `updatedFrom`: what was changed, as it was before.
    UpdatedFromPart {
        title: Was = "title",
        description: Was = "description",
        state_id: Was = "stateId",
        trashed: Was = "trashed",
    }
);
object!(
    /// `actor`.
    ActorPart { id: Text = "id", name: Text = "name" }
);
object!(
    /// `notification`.
    NotificationPart { id: Text = "id", issue: IssuePart = "issue", actor: ActorPart = "actor" }
);
object!(
    /// `agentSession.issue.team`.
    TeamPart { key: Text = "key" }
);
object!(
    /// `agentSession.comment`, and a rule of `guidance`.
    CommentPart { id: Text = "id", body: Text = "body" }
);
object!(
    /// `agentSession.creator`.
    NamePart { name: Text = "name" }
);
object!(
    /// `agentActivity`.
    ActivityPart { id: Text = "id", signal: Text = "signal", user_id: Text = "userId", content: ContentPart = "content" }
);
object!(
    /// `agentActivity.content`.
    ContentPart { body: Text = "body" }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_another_type_is_as_if_it_were_absent() {
        for nasty in ["null", "true", "7", "-7", "1.5", "\"text\"", "[]", "[{\"id\":\"a\"}]"] {
            let part: SessionPart = serde_json::from_str(nasty).unwrap();
            assert_eq!(part, SessionPart::default(), "{nasty}");
            let inside: SessionPart =
                serde_json::from_str(&format!(r#"{{"id":"a","issue":{nasty},"x":{nasty}}}"#)).unwrap();
            assert!(
                inside.is_object && !inside.issue.is_object && inside.id.as_str() == Some("a"),
                "{nasty}"
            );
            if nasty != "\"text\"" {
                let text: Text = serde_json::from_str(nasty).unwrap();
                assert_eq!(text, Text(None), "{nasty}");
            }
        }
        assert_eq!(serde_json::from_str::<Text>(r#"{"a":[1,{"b":null}]}"#).unwrap(), Text(None));
        assert_eq!(serde_json::from_str::<List<Text>>(r#"{"a":1}"#).unwrap().0, []);
    }

    #[test]
    fn of_a_field_that_stands_twice_the_last_one_counts() {
        let part: CommentPart =
            serde_json::from_str(r#"{"id":"a","\u0069d":"b","body":1,"body":"c"}"#).unwrap();
        assert_eq!((part.id.as_str(), part.body.as_str()), (Some("b"), Some("c")));
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_stands() {
        for nasty in ["", "{", r#"{"id":"a""#, r#"{"id":"a",}"#, r#"{"x":[1,}"#, r#"{"id":nul}"#] {
            assert!(serde_json::from_str::<SessionPart>(nasty).is_err(), "{nasty}");
        }
    }
}
