//! The platform's random source.

use shared::id::new_uuid;
use shared::time::Timestamp;
use uuid::Uuid;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buffer: &mut [u8]);
}

/// `N` random bytes, fit for keys.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    get_random_values(&mut bytes);
    bytes
}

/// A fresh UUIDv7 for `now`.
pub fn uuid(now: Timestamp) -> Uuid {
    new_uuid(now, bytes())
}
