//! What holds of any bytes of strangers, as functions: tests call them with changed bytes of real senders, `make fuzz` with
//! whatever finds new ways through the code. Items or a refusal, without a panic, within bounds, and the same each time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "it is a test")]

use crate::api::{self, Reply, Request};
use crate::item::Item;
use crate::protocol::syslog::{Frame, Framer, item};
use crate::quota::Meter;

/// Bound of bodies here.
pub const MOST: usize = 1 << 16;

/// A stream of syslog gives the same messages wherever it is torn: here after as many bytes as each of `cuts` says.
pub fn syslog(stream: &[u8], cuts: &[usize]) {
    let whole = frames(stream, &[]);
    assert_eq!(frames(stream, cuts), whole);
    assert!(whole.iter().map(|frame| frame.body.len()).sum::<usize>() <= stream.len());
    for frame in &whole {
        let item = item("syslog", &frame.body);
        assert!(item.fault().is_none() && *item.body == *frame.body);
    }
}

/// Elasticsearch's `_bulk`.
pub fn bulk(body: &[u8]) {
    request("/_bulk", "application/x-ndjson", body);
    request("/web/_bulk", "application/json", body);
}

/// OTLP in both forms.
pub fn otlp(body: &[u8]) {
    request("/v1/logs", "application/x-protobuf", body);
    request("/v1/logs", "application/json", body);
}

/// Loki's push: JSON, protobuf in a block of snappy, and such a block that is none.
pub fn loki(body: &[u8]) {
    let block = snap::raw::Encoder::new().compress_vec(body).unwrap_or_default();
    request("/loki/api/v1/push", "application/x-protobuf", &block);
    request("/loki/api/v1/push", "application/x-protobuf", body);
    request("/loki/api/v1/push", "application/json", body);
}

/// The protocols that are JSON or lines.
pub fn others(body: &[u8]) {
    for path in
        ["/v1/logs/web", "/store/batch", "/message/send", "/services/collector", "/services/collector/raw"]
    {
        request(path, "application/json", body);
    }
}

/// Packed bodies are unpacked up to a bound, or refused.
pub fn packed(body: &[u8]) {
    for name in ["gzip", "zstd", "deflate", "snappy", "gzip, zstd"] {
        if let Ok(unpacked) = crate::encoding::decode(name, body, MOST) {
            assert!(unpacked.len() <= MOST, "{name}: {}", unpacked.len());
        }
    }
}

/// A request's items are within bounds, and the same each time.
fn request(path: &str, media_type: &str, body: &[u8]) {
    let headers = [("content-type", media_type)];
    let request = Request { method: "POST", path, query: "", headers: &headers, nonce: "n" };
    let read = || api::read(&request, body, MOST, &Meter::open());
    let reply = read();
    match &reply {
        Reply::Now(answer) => assert!((200..600).contains(&answer.status)),
        Reply::Commit(items, _) => {
            let faults: Vec<_> = items.iter().filter_map(Item::fault).collect();
            assert!(faults.is_empty(), "taken in spite of {faults:?}");
            let n_bytes: usize = items.iter().map(Item::size).sum();
            assert!(n_bytes <= 4 * (MOST + body.len()), "{n_bytes} bytes of {}", body.len());
        }
    }
    assert_eq!(reply, read());
}

/// Frames of a stream that comes in chunks as long as `cuts` say, and then whole.
fn frames(stream: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let (mut framer, mut frames, mut rest) = (Framer::default(), Vec::new(), stream);
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (chunk, later) = rest.split_at(cut.min(rest.len()));
        framer.push(chunk);
        frames.extend(std::iter::from_fn(|| framer.take()));
        assert!(framer.held() <= stream.len() - later.len());
        rest = later;
    }
    frames.extend(std::iter::from_fn(|| framer.take_last()));
    assert_eq!(framer.held(), 0, "something is left behind the end");
    frames
}
