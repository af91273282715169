//! A long answer to an outside client, fed by a Durable Object over a WebSocket that hibernates.
//!
//! The stateless Worker holds the client and writes keep-alive text by itself, so a quiet stream never wakes
//! the object. The stream ends on purpose after a while, before the platform's CPU limit ends it. A client
//! that goes away aborts its request, which closes the WebSocket, so the object knows; workerd by itself
//! notices that at its next write, which is the keep-alive text at the latest.

use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use worker::{Delay, Request, Response, WebSocket, WebsocketEvent};

use crate::clock;
use crate::failure::Answer;

/// How a relay frames what it hands on.
pub struct Framing {
    /// Content type of the answer.
    pub content_type: &'static str,
    /// The first text; headers do not leave before there is some body. Empty where the object speaks at once.
    pub opening: &'static str,
    /// Between two keep-alive texts, in ms.
    pub keep_alive_ms: u64,
    /// The keep-alive text.
    pub keep_alive: &'static str,
    /// The stream ends after this, in ms.
    pub max_ms: u64,
    /// And after this many texts.
    pub max_lines: u32,
    /// The last text, when it ends on purpose.
    pub farewell: &'static str,
    /// Put after each message of the object.
    pub terminator: &'static str,
}

/// Answers `request` with the messages of `socket`, framed.
pub fn answer(request: &Request, socket: WebSocket, framing: Framing) -> Answer<Response> {
    socket.accept()?;
    close_on_abort(request, &socket);
    let (sender, receiver) = mpsc::channel::<Result<Vec<u8>, worker::Error>>(64);
    let (content_type, response_stream) = (framing.content_type, receiver);
    // The platform tells of an abort through the request's own signal, so the request lives as long as the stream.
    let request = request.inner().clone();
    wasm_bindgen_futures::spawn_local(async move {
        pump(socket, framing, sender).await;
        drop(request);
    });
    let response = worker::ResponseBuilder::new()
        .with_header("content-type", content_type)?
        .with_header("cache-control", "no-store, no-transform")?
        .with_header("x-accel-buffering", "no")?
        .from_stream(response_stream)?;
    Ok(response)
}

async fn pump(socket: WebSocket, framing: Framing, mut out: mpsc::Sender<Result<Vec<u8>, worker::Error>>) {
    let begun = clock::now();
    let mut lines = 0_u32;
    let Ok(mut events) = socket.events() else { return };
    if !framing.opening.is_empty() {
        // A client that is gone already is noticed at the next text.
        let _ = out.send(Ok(framing.opening.as_bytes().to_vec())).await;
    }
    loop {
        let left = i64::try_from(framing.max_ms).unwrap_or(i64::MAX) - clock::now().since(begun);
        if left <= 0 || lines >= framing.max_lines {
            let _ = out.send(Ok(framing.farewell.as_bytes().to_vec())).await;
            break;
        }
        let wait = framing.keep_alive_ms.min(u64::try_from(left).unwrap_or(0)).max(1);
        let text = match select(events.next(), Delay::from(Duration::from_millis(wait))).await {
            Either::Left((Some(Ok(WebsocketEvent::Message(message))), _)) => match message.text() {
                Some(mut text) => {
                    text.push_str(framing.terminator);
                    text
                }
                None => continue,
            },
            Either::Left(_) => break,
            Either::Right(_) => framing.keep_alive.to_owned(),
        };
        lines += 1;
        if out.send(Ok(text.into_bytes())).await.is_err() {
            break;
        }
    }
    let _ = socket.close(Some(1000), Some("stream ended"));
}

/// Closes the socket when the client goes away. Needs the compatibility flag `enable_request_signal`.
fn close_on_abort(request: &Request, socket: &WebSocket) {
    let signal = request.inner().signal();
    let raw: web_sys::WebSocket = socket.as_ref().clone();
    let close = Closure::once_into_js(move || {
        let _ = raw.close();
    });
    let _ = signal.add_event_listener_with_callback("abort", close.unchecked_ref());
}
