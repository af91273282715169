//! What the pages are made of. One component a file; none of them fetches anything.

pub mod ago;
pub mod announcer;
pub mod copy_button;
pub mod deed_button;
pub mod elapsed;
pub mod empty;
pub mod facts;
pub mod icon;
pub mod log_row;
pub mod log_view;
pub mod row_detail;
pub mod run_list;
pub mod status_pill;
pub mod table;
pub mod theme_toggle;
pub mod tile;
pub mod title;
