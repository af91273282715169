//! Things that are done at the server for a person: what a button does, and the API's answer as a sentence.
//!
//! One type for all of them; a button that does one is `components/deed_button.rs`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use leptos::prelude::*;

use crate::api::Failure;

/// A call under way.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

/// Something that can be done, again and again. Its sentence is told when it is done; an empty one is not.
#[derive(Clone, Copy)]
pub struct Deed(StoredValue<Rc<dyn Fn() -> Answer<String>>, LocalStorage>);

impl Deed {
    /// A deed of the calling component.
    pub fn new(call: impl Fn() -> Answer<String> + 'static) -> Self {
        Self(StoredValue::new_local(Rc::new(call)))
    }

    /// Does it; `None`: the component is gone.
    pub fn begin(self) -> Option<Answer<String>> {
        self.0.try_get_value().map(|call| call())
    }
}
