//! HMAC by the platform's own crypto: for bodies so large that doing it in wasm would eat the CPU limit.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::failure::{Answer, Failure};

/// Bodies above this many bytes are signed here rather than in wasm.
pub const WORTH_IT: usize = 64 * 1024;

/// HMAC-SHA256 of `body` under `secret`.
pub async fn hmac_sha256(secret: &str, body: &[u8]) -> Answer<Vec<u8>> {
    hmac(secret, body).await.map_err(|error| Failure::internal(format!("crypto.subtle: {error:?}")))
}

async fn hmac(secret: &str, body: &[u8]) -> Result<Vec<u8>, JsValue> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())?;
    let subtle = Reflect::get(&crypto, &"subtle".into())?;
    let call = |name: &str, arguments: Array| -> Result<JsFuture, JsValue> {
        let method: js_sys::Function = Reflect::get(&subtle, &name.into())?.dyn_into()?;
        let promise: js_sys::Promise = method.apply(&subtle, &arguments)?.dyn_into()?;
        Ok(JsFuture::from(promise))
    };
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &"HMAC".into())?;
    Reflect::set(&algorithm, &"hash".into(), &"SHA-256".into())?;
    let secret = Uint8Array::from(secret.as_bytes());
    let usages = Array::of1(&"sign".into());
    let key = call(
        "importKey",
        [&"raw".into(), secret.as_ref(), algorithm.as_ref(), &JsValue::FALSE, usages.as_ref()]
            .into_iter()
            .collect(),
    )?
    .await?;
    let body = Uint8Array::from(body);
    let signature = call("sign", Array::of3(&"HMAC".into(), &key, &body))?.await?;
    Ok(Uint8Array::new(&signature).to_vec())
}
