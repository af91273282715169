//! The browser's cookie: httpOnly, sameSite, and on https secure with the `__Host-` prefix.
//!
//! On plain http (a developer's own machine) not every browser keeps a secure cookie, so there it has a plain name.

use worker::Request;
use worker_shell::failure::Answer;

/// How long a browser stays signed in, in seconds.
pub const LIFE_S: i64 = 30 * 24 * 3600;

/// The cookie's name on the scheme of this request.
fn name(request: &Request) -> Answer<&'static str> {
    Ok(if is_https(request)? { "__Host-cyrus_session" } else { "cyrus_session" })
}

fn is_https(request: &Request) -> Answer<bool> {
    Ok(request.url()?.scheme() == "https")
}

/// The value that the browser sent.
pub fn read(request: &Request) -> Answer<Option<String>> {
    let name = name(request)?;
    let header = request.headers().get("cookie")?.unwrap_or_default();
    Ok(header.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.to_owned())
    }))
}

/// The `Set-Cookie` text that stores `value` for `life_s` seconds; 0 removes it.
pub fn store(request: &Request, value: &str, life_s: i64) -> Answer<String> {
    let secure = if is_https(request)? { "; Secure" } else { "" };
    Ok(format!("{}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}", name(request)?))
}
