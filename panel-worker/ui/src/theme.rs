//! Light, dark, or as the system has it: kept in `localStorage.theme`, shown as `data-theme` on `<html>`.
//!
//! `boot.js` reads the same key before the first paint. The colours themselves are in `style.css`.

use leptos::prelude::*;

/// The person's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Its word for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The one that the toggle goes to from here.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    /// Reads a stored word; anything else is the system's.
    pub fn parse(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// What was chosen in this browser.
    pub fn stored() -> Self {
        storage()
            .and_then(|store| store.get_item("theme").ok().flatten())
            .map_or(Self::System, |word| Self::parse(&word))
    }

    /// Puts it on the page and keeps it. A browser that forbids storage forgets it with the page.
    pub fn choose(self) {
        let root = document().document_element();
        let store = storage();
        if self == Self::System {
            let _ = root.map(|root| root.remove_attribute("data-theme"));
            let _ = store.map(|store| store.remove_item("theme"));
        } else {
            let _ = root.map(|root| root.set_attribute("data-theme", self.label()));
            let _ = store.map(|store| store.set_item("theme", self.label()));
        }
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toggle_reaches_every_theme_and_comes_back() {
        let round = [Theme::System.next(), Theme::System.next().next(), Theme::System.next().next().next()];
        assert_eq!(round, [Theme::Light, Theme::Dark, Theme::System]);
    }

    #[test]
    fn a_stored_word_that_nobody_knows_is_the_systems() {
        assert_eq!(Theme::parse("dark"), Theme::Dark);
        assert_eq!(Theme::parse("sepia\" onload"), Theme::System);
    }
}
