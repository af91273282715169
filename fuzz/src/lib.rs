//! What the fuzz targets do with their bytes. `shared/tests/corpus.rs` and `edge-worker/tests/corpus.rs` include the
//! same files and run the committed corpus through them, so that fuzzing and the tests cannot drift apart.

pub mod client;
pub mod wire;

// The edge's own file, without the rest of the edge.
#[path = "../../edge-worker/src/proxy/lines.rs"]
pub mod lines;
