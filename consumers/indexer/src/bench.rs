//! What the project's bench and the example measure: made-up access lines through the builder.

use std::time::Instant;

use millrace_runtime::sink::{BuildError, BundleBuilder};
use millrace_schemas::{Attributes, Codec, Event, Fields, LineEnd, Origin, Parser, RawEvent, Subject, Value};

use crate::IndexBuilder;

/// Registry id that the made-up events are framed with.
const ID: u32 = 1;

/// Lines in the Apache combined format, about 190 bytes each, the same for the same `n`.
pub fn apache_lines(n: usize) -> Vec<String> {
    const PATHS: [&str; 8] =
        ["/", "/cart", "/cart/items", "/login", "/static/app.css", "/api/v1/orders", "/search", "/product"];
    const AGENTS: [&str; 3] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Gecko/20100101 Firefox/127.0",
        "curl/8.7.1",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..n)
        .map(|at| {
            let (path, agent) = (PATHS[next(8) as usize], AGENTS[next(3) as usize]);
            let status = [200, 200, 200, 200, 304, 404, 500][next(7) as usize];
            let second = at / 200;
            format!(
                "10.{}.{}.{} - user{} [12/Mar/2026:{:02}:{:02}:{:02} +0000] \"GET {path}/{} HTTP/1.1\" {status} {} \"https://www.example.com{path}\" \"{agent}\"",
                next(4), next(256), next(256), next(5_000), second / 3600 % 24, second / 60 % 60, second % 60,
                next(20_000), next(100_000),
            )
        })
        .collect()
}

/// The framed event that a parser of such lines writes.
pub fn apache_event(codec: &Codec, line: &str, offset: i64) -> Vec<u8> {
    const START: i64 = 1_773_273_600_000_000;
    let mut quoted = line.split('"');
    let head = quoted.next().unwrap_or_default();
    let request = quoted.next().unwrap_or_default();
    let numbers = quoted.next().unwrap_or_default();
    let referer = quoted.next().unwrap_or_default();
    let agent = quoted.nth(1).unwrap_or_default();
    let mut request = request.split(' ');
    let mut numbers = numbers.split_whitespace().map(|text| text.parse().unwrap_or(0));
    let time = START + offset / 200 * 1_000_000;
    let raw = RawEvent {
        tenant: "default",
        stream: "web",
        host: "web-01",
        file: Some("/var/log/apache2/access.log"),
        file_id: Some("0123456789abcdef"),
        attributes: Attributes::default(),
        received: time + 20_000 + offset % 200,
        position: None,
        line_end: LineEnd::Lf,
        piece: None,
        dedup: None,
        body: line.as_bytes(),
    };
    let origin = Origin { generation: 0, partition: 0, offset };
    let mut event = Event::unparsed(raw, Parser { id: "apache", version: 1 }, origin);
    event.time = time;
    event.user = head.split(' ').nth(2).map(Into::into);
    let mut fields = Fields::default();
    fields.push("client", Value::String(head.split(' ').next().unwrap_or_default().into()));
    fields.push("method", Value::String(request.next().unwrap_or_default().into()));
    fields.push("path", Value::String(request.next().unwrap_or_default().into()));
    fields.push("protocol", Value::String(request.next().unwrap_or_default().into()));
    fields.push("status", Value::Long(numbers.next().unwrap_or(0)));
    fields.push("bytes", Value::Long(numbers.next().unwrap_or(0)));
    fields.push("referer", Value::String(referer.into()));
    fields.push("agent", Value::String(agent.into()));
    event.fields = fields;
    let mut value = Vec::new();
    match codec.encode(&event, &mut value) {
        Ok(()) => value,
        Err(_) => Vec::new(),
    }
}

/// The codec of the made-up events.
///
/// # Errors
/// The embedded schema does not parse; a bug.
pub fn codec() -> Result<Codec, BuildError> {
    Codec::new("logs.parsed-value", ID, Subject::Parsed.schema()).map_err(fault)
}

/// Decodes and indexes framed events, sealing after every `per_bundle` of them. Returns the bodies' bytes, the splits'
/// bytes and the seconds it took.
///
/// # Errors
/// A value that does not decode.
pub fn index(codec: &Codec, values: &[Vec<u8>], per_bundle: usize) -> Result<(u64, u64, f64), BuildError> {
    let start = Instant::now();
    let mut builder = IndexBuilder::new(&[codec.id()])?;
    let (mut bodies, mut splits) = (0, 0);
    for bundle in values.chunks(per_bundle.max(1)) {
        for value in bundle {
            let event: Event<'_> = codec.decode(value).map_err(fault)?;
            bodies += event.body.len() as u64;
            builder.add_event(&event, value)?;
        }
        splits += builder.seal("bench")?.bytes.len() as u64;
    }
    Ok((bodies, splits, start.elapsed().as_secs_f64()))
}

fn fault(error: millrace_schemas::CodecError) -> BuildError {
    BuildError { action: "measure".to_owned(), reason: error.to_string() }
}
