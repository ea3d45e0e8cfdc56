//! Bytes of strangers: requests and streams like those of real senders, changed at random, for [`crate::targets`].

use proptest::prelude::*;

use crate::api::{self, Reply, Request};
use crate::quota::Meter;
use crate::targets::{self, MOST};

/// Bytes of a sender, changed in a few places.
fn changed(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..6_u8);
    (prop::sample::select(seeds), prop::collection::vec(edit, 0..6)).prop_map(|(mut bytes, edits)| {
        for (from, to, byte, kind) in edits {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let range = from.min(to)..from.max(to);
            match kind {
                0 => bytes.insert(from, byte),
                1 if from < bytes.len() => bytes[from] = byte,
                2 => drop(bytes.drain(range)),
                3 if bytes.len() < MOST / 64 => {
                    let copy = bytes[range].to_vec();
                    bytes.splice(from..from, copy).for_each(drop);
                }
                4 => bytes.truncate(from),
                // Lengths and counts that lie.
                _ => bytes.splice(from..from, [0xff, 0xff, 0xff, byte & 0x7f]).for_each(drop),
            }
        }
        bytes
    })
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 1 << 14);
    let length = [bytes.len() as u8 & 0x7f | 0x80, (bytes.len() >> 7) as u8];
    [&[number << 3 | 2][..], &length, bytes].concat()
}

fn otlp() -> Vec<Vec<u8>> {
    let pair =
        |name: &str, value: &str| [field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat();
    let resource = field(1, &field(1, &pair("service.name", "shop")));
    let record = |text: &str| {
        let list = field(5, &[field(1, &field(1, b"a")), field(1, &field(7, b"b"))].concat());
        let nested = [field(1, b"list"), field(2, &list)].concat();
        let parts = [
            b"\x09\x01\x02\x03\x04\x05\x06\x07\x15\x10\x09".to_vec(),
            field(5, &field(1, text.as_bytes())),
            field(6, &nested),
            field(9, &[7; 16]),
        ];
        field(2, &parts.concat())
    };
    let scope = |records: &[Vec<u8>]| field(2, &[field(1, &field(1, b"scope")), records.concat()].concat());
    let group = |scopes: &[Vec<u8>]| field(1, &[resource.clone(), scopes.concat()].concat());
    let one = scope(&[record("hello"), record(&"x".repeat(300))]);
    vec![
        group(std::slice::from_ref(&one)),
        [group(&[one.clone(), one.clone()]), group(&[one])].concat(),
        vec![],
    ]
}

fn push() -> Vec<Vec<u8>> {
    let line = |text: &str| {
        let pair = field(3, &[field(1, b"trace"), field(2, b"1")].concat());
        field(2, &[field(1, b"\x08\x01\x10\x02"), field(2, text.as_bytes()), pair].concat())
    };
    let stream =
        |lines: &[Vec<u8>]| field(1, &[field(1, br#"{app="shop", host="h"}"#), lines.concat()].concat());
    vec![stream(&[line("a"), line("b")]), [stream(&[line("c")]), stream(&[])].concat()]
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn bulk() -> Vec<Vec<u8>> {
    texts(&[
        "{\"index\":{\"_index\":\"web\",\"_id\":\"1\"}}\n{\"a\":1}\n{\"create\":{\"_index\":\"b\"}}\n{\"host\":{\"name\":\"h\"}}\n",
        "{\"delete\":{\"_index\":\"web\",\"_id\":\"1\"}}\n{\"update\":{\"_index\":\"a\"}}\n{\"doc\":{}}\n",
    ])
}

fn syslog() -> Vec<Vec<u8>> {
    texts(&[
        "<13>1 2026-01-01T00:00:00Z web app - - - hello\n<14>Jan  1 00:00:00 host app[1]: old\n",
        "29 <13>1 - web app - - - counted\n31 <13>Jan  1 00:00:00 web app: old<13>plain\n",
        "<13>a\r\n<13>b\0<13>c\n16 <13>h app: a 1 2\n\n99999999 <1>x",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn syslog_is_cut_the_same_wherever_it_is_torn(
        stream in changed(syslog()),
        cuts in prop::collection::vec(0..40_usize, 0..20),
    ) {
        targets::syslog(&stream, &cuts);
    }

    #[test]
    fn bulk_is_taken_or_refused(body in changed(bulk())) {
        targets::bulk(&body);
    }

    #[test]
    fn otlp_is_taken_or_refused(body in changed(otlp())) {
        targets::otlp(&body);
    }

    #[test]
    fn otlp_as_json_is_taken_or_refused(body in changed(texts(&[
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"arrayValue":{"values":[{"intValue":"7"}]}}}]}]}]}"#,
    ]))) {
        targets::otlp(&body);
    }

    #[test]
    fn loki_is_taken_or_refused(
        body in changed(push()),
        json in changed(texts(&[r#"{"streams":[{"stream":{"app":"a"},"values":[["1","x",{"k":"v"}],["2","y"]]}]}"#])),
    ) {
        targets::loki(&body);
        targets::loki(&json);
    }

    #[test]
    fn other_requests_are_taken_or_refused(
        json in changed(texts(&[
            r#"[{"message":"a"},{"host":"h"}]"#,
            r#"[{"uuid":"u","host":"h","file":"f","line-num":1,"content":"c"}]"#,
            r#"{"timestamp":1,"severity":"WARN","source":"app","message":"m"}"#,
            r#"{"time":1.5,"host":"h","index":"i","event":{"a":1},"fields":{"k":"v"}}{"event":"b"}"#,
        ])),
    ) {
        targets::others(&json);
    }

    #[test]
    fn packed_bodies_are_unpacked_or_refused(body in changed(syslog()), level in 1..4) {
        targets::packed(&body);
        let packed = zstd::encode_all(body.as_slice(), level).unwrap();
        prop_assert_eq!(crate::encoding::decode("zstd", &packed, MOST), Ok(body.into()));
        targets::packed(&packed);
    }

    #[test]
    fn seeds_are_taken_as_they_are(at in 0..2_usize) {
        let taken = |path: &str, media_type: &str, body: &[u8]| {
            let headers = [("content-type", media_type)];
            let request = Request { method: "POST", path, query: "", headers: &headers, nonce: "n" };
            matches!(api::read(&request, body, MOST, &Meter::open()), Reply::Commit(items, _) if !items.is_empty())
        };
        prop_assert!(taken("/v1/logs", "application/x-protobuf", &otlp()[at]));
        let block = snap::raw::Encoder::new().compress_vec(&push()[at]).unwrap();
        prop_assert!(taken("/loki/api/v1/push", "application/x-protobuf", &block));
        prop_assert!(taken("/_bulk", "application/x-ndjson", &bulk()[0]));
    }
}
