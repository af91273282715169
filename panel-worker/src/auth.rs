//! Who is asking: [`caller`] from a key or a cookie, [`cookie`] texts, [`sign_in`] links and sign-out.

pub mod caller;
pub mod cookie;
pub mod sign_in;
