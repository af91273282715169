//! The panel's signs: single strokes on a 16 × 16 grid, drawn in the colour of the text around them.
//!
//! A sign never stands alone: a word goes with it, seen or for screen readers.

use leptos::prelude::*;

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)+) => {
        /// A sign.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Shape { $($(#[$doc])* $name,)+ }

        impl Shape {
            fn path(self) -> &'static str { match self { $(Self::$name => $path,)+ } }
        }
    };
}

shapes! {
    /// A clock: not begun.
    Clock = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M8 5v3.2l2 1.3";
    /// An open ring that turns: at work.
    Spinner = "M8 2a6 6 0 1 1-6 6";
    /// A question: a person is wanted.
    Question = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M6.4 6.4a1.7 1.7 0 1 1 2.5 1.5c-.6.3-.9.7-.9 1.3M8 11.2v.1";
    /// Two bars: held.
    Pause = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M6.6 6v4M9.4 6v4";
    /// A shield: being checked.
    Shield = "M8 1.8 3 3.8v4.1c0 3 2.2 5.2 5 6.3 2.8-1.1 5-3.3 5-6.3V3.8zM5.9 7.9l1.5 1.5 2.8-2.9";
    /// A tick in a ring: well.
    Check = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M5.4 8.2l1.8 1.8 3.4-3.8";
    /// A cross in a ring: badly.
    Cross = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M6 6l4 4M10 6l-4 4";
    /// A square in a ring: ended by a person.
    Stop = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M6.3 6.3h3.4v3.4H6.3z";
    /// A triangle with a bang: look at it.
    Warning = "M8 2.4 14.2 13H1.8zM8 6.4v3M8 11.2v.1";
    /// A ring with an i.
    Info = "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2M8 7.4v3.4M8 5.2v.1";
    /// A small ring.
    Dot = "M8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 1 0 0-3.2";
    /// A speech bubble.
    Message = "M2.5 4a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H7l-3 2.5V11h-.5a1 1 0 0 1-1-1z";
    /// A cloud with a dot below.
    Thought = "M5 10.8a2.6 2.6 0 0 1-.3-5.2 3.4 3.4 0 0 1 6.6-.4 2.8 2.8 0 0 1-.3 5.6zM4 13.6h.1";
    /// A wrench.
    Tool = "M10.2 2.6a3.4 3.4 0 0 0-3.9 4.5l-3.7 3.7a1.5 1.5 0 0 0 2.1 2.1l3.8-3.7a3.4 3.4 0 0 0 4.4-4l-2 2-2-.6-.6-2z";
    /// An arrow that comes back.
    Return = "M13 3v4a2 2 0 0 1-2 2H3.2M6 6 3 9l3 3";
    /// A triangle.
    Play = "M5 3.2 12.6 8 5 12.8z";
    /// A flag.
    Flag = "M4 14V2.6M4 3h8l-1.8 3L12 9H4";
    /// A prompt.
    Terminal = "M3 4.5 6.5 8 3 11.5M8.5 12H13";
    /// Two arrows in a round.
    Repeat = "M3 7V6a2 2 0 0 1 2-2h8M10.6 1.6 13 4l-2.4 2.4M13 9v1a2 2 0 0 1-2 2H3M5.4 14.4 3 12l2.4-2.4";
    /// Two sheets.
    Copy = "M6 5.5V4a1 1 0 0 1 1-1h5a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1h-1.5M4 6h5a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1";
    /// A tick.
    Tick = "M3.2 8.6l3 3 6.4-7";
    /// A sun.
    Sun = "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 1 0 0-5.6M8 1.4v1.2M8 13.4v1.2M1.4 8h1.2M13.4 8h1.2M3.3 3.3l.9.9M11.8 11.8l.9.9M12.7 3.3l-.9.9M4.2 11.8l-.9.9";
    /// A moon.
    Moon = "M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z";
    /// A screen.
    Screen = "M2.5 3h11v7.5h-11zM6 13.4h4M8 10.5v2.9";
    /// An arrow out of a box.
    External = "M9 3h4v4M13 3 7.5 8.5M11.5 9.5V13H3V4.5h3.5";
    /// A door and an arrow.
    SignOut = "M6 13.4H3V2.6h3M10 5l3 3-3 3M13 8H6.2";
    /// An arrow down.
    Down = "M8 3v9.4M4 8.6l4 4 4-4";
    /// An arrow head: opens.
    Next = "M6 3.5 10.5 8 6 12.5";
    /// A branch.
    Branch = "M5 2.4v7.2M5 9.8a1.9 1.9 0 1 0 0 3.8 1.9 1.9 0 1 0 0-3.8M11 2.6a1.9 1.9 0 1 0 0 3.8 1.9 1.9 0 1 0 0-3.8M11 6.4c0 2.6-3 2.4-5.2 3.6";
}

/// Draws a sign; screen readers pass over it.
#[component]
pub fn Icon(
    /// The sign.
    shape: Shape,
) -> impl IntoView {
    view! {
        <svg class="icon" class:spin=shape == Shape::Spinner viewBox="0 0 16 16" aria-hidden="true">
            <path d=shape.path() />
        </svg>
    }
}
