//! Speaking to a Durable Object: JSON in, JSON out, its refusals handed on as they are.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::problem::Problem;
use worker::wasm_bindgen::JsValue;
use worker::{Headers, Method, Request, RequestInit, Response, Stub};

use crate::failure::{Answer, Failure};

/// Posts a JSON body to `path` of an object and reads its JSON answer.
pub async fn post<T: DeserializeOwned>(stub: &Stub, path: &str, body: &impl Serialize) -> Answer<T> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&serde_json::to_string(body)?)));
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    init.with_headers(headers);
    let request = Request::new_with_init(&format!("https://object{path}"), &init)?;
    read(stub.fetch_with_request(request).await?).await
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Answer<T> {
    if !(200..300).contains(&response.status_code()) {
        return Err(refusal(response).await);
    }
    Ok(serde_json::from_str(&response.text().await?)?)
}

/// The failure that an answer of an object tells of.
pub async fn refusal(mut response: Response) -> Failure {
    let status = response.status_code();
    match response.text().await.map(|text| serde_json::from_str::<Problem>(&text)) {
        Ok(Ok(problem)) => problem.into(),
        _ => Failure::internal(format!("the object answered {status} without a problem")),
    }
}
