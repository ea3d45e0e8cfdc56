//! Every step under any bytes: an event or one dead letter (I1), and never a panic.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::parse::source::reader::Reader;
use crate::parse::tests::{batch, event_codec, framed, job, line};
use crate::parse::{Format, Parse};
use crate::plan::{Plan, plan};
use crate::table::Table as Cells;

/// Steps, and lines that they read; the fuzzer changes these.
const STEPS: [(&str, &[&str]); 34] = [
    (
        r#""auto""#,
        &[r#"{"a":1}"#, "<13>Jan  1 00:00:01 web app[7]: x", "a=b c=\"d e\"", "CEF:0|a|b|c|d|e|1|f=g"],
    ),
    (
        r#""json""#,
        &[r#"{"time":"2026-01-01T00:00:00Z","a":{"b":[1,2.5e3,null]},"c":"\u00e4\n","level":"INFO"}"#],
    ),
    (
        r#""apache""#,
        &[
            r#"192.0.2.7 - al [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl \"x\"" "userid=u1""#,
        ],
    ),
    (
        r#""apache_error""#,
        &[
            "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:1234] AH00128: File does not exist: /a",
        ],
    ),
    (
        r#""nginx_error""#,
        &[
            "2026/01/02 03:04:05 [error] 7#8: *9 open() \"/a\" failed (2: No such file), client: 10.0.0.1, server: a, request: \"GET / HTTP/1.1\", host: \"b\"",
        ],
    ),
    (
        r#""rfc5424""#,
        &[r#"<165>1 2003-08-24T05:14:15.000003-07:00 h a 8710 ID47 [ex@1 iut="3\]" iut="4"][b] message"#],
    ),
    (r#""rfc3164""#, &["<34>Oct 11 22:14:15 host su[12]: 'su root' failed", "Feb 29 23:59:60 h x: y"]),
    (r#""syslog""#, &["<34>Oct 11 22:14:15 host su: x", "<34>1 - - - - - - \u{feff}x"]),
    (r#""logfmt""#, &[r#"ts=1767323045 level=warn msg="a \"b\" c" took=1.5s empty= alone"#]),
    (r#""ltsv""#, &["time:[02/Jan/2026:03:04:05 +0000]\thost:a\tstatus:200\tua:-"]),
    (r#""cef""#, &[r"CEF:0|a\|b|c|1.0|100|d|10|src=10.0.0.1 msg=e\=f g rt=1767323045000 cs1Label=h cs1=i"]),
    (
        r#""leef""#,
        &[
            "LEEF:2.0|a|b|1|c|^|src=10.0.0.1^dst=10.0.0.2^devTime=Jan 02 2026 03:04:05",
            "LEEF:1.0|a|b|1|c|sev=1\tusr=d",
        ],
    ),
    (r#""cri""#, &["2026-01-02T03:04:05.000000006Z stdout F message"]),
    (r#""docker""#, &[r#"{"log":"message\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}"#]),
    (r#""glog""#, &["I0102 03:04:05.678901    7 file.cc:8] message", "W20260102 03:04:05.678901 7 f:8] m"]),
    (r#""klog""#, &["E0102 03:04:05.678901       1 reflector.go:123] message"]),
    (
        r#"{ w3c = { columns = "date time cs-uri-stem sc-status cs(User-Agent)" } }"#,
        &["2026-01-02 03:04:05 /a 200 Mozilla/5.0+(X11)"],
    ),
    (
        r#"{ nginx = { format = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time' } }"#,
        &[r#"10.0.0.1 - - [02/Jan/2026:03:04:05 +0100] "GET / HTTP/2.0" 200 1 0.002"#],
    ),
    (
        r#"{ apache = { format = '%v:%p %h %l %u %t "%r" %>s %O %{ms}T %{x}C' } }"#,
        &[r#"a:80 10.0.0.1 - b [02/Jan/2026:03:04:05 +0100] "GET /\x22 HTTP/1.1" 200 7 8 c"#],
    ),
    (
        r#"{ key_value = { pair_separator = ":", field_separator = "; ", pairs_only = true } }"#,
        &["a:b; c:'d e'", "a:b; c:'d; e'; f"],
    ),
    (r#"{ csv = { columns = ["a", "b", "c"], separator = "::" } }"#, &["x::\"y \"\" :: z\"::", "1::2::3::4"]),
    (r#"{ dissect = { pattern = "%{+a/2} %{+a/1} %{*k}=%{&k} %{b->} [%{c}]" } }"#, &["x y k=v b     [c]"]),
    (r#"{ regex = { pattern = '^(?<a>\w+)(?:-(?<b>\d+))*+ (?<c>(?<=x )\S+)?$' } }"#, &["ab-1-22 x", "äö-1 "]),
    (
        r#"{ grok = { match = ["%{COMBINEDAPACHELOG}", "%{SYSLOGLINE}", "%{WORD:a:int} %{NUMBER:[b][c]:float} %{GREEDYDATA:message}"], ecs = true } }"#,
        &["Jan  2 03:04:05 h p[7]: x", "12 3.5 rest"],
    ),
    (r#"{ url = { parameters = true } }"#, &["https://a:b@c.example:8443/d/%C3%A4?e=f&g#h", "/a?b"]),
    (r#""query_string""#, &["a=b&c=%ff%2&&d"]),
    (
        r#""user_agent""#,
        &[
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile Safari/604.1",
        ],
    ),
    (r#""peer""#, &["Failed password for root from 10.0.0.1 port 22 ssh2", "rip=[::ffff:10.0.0.1]"]),
    (
        r#"{ timestamp = { format = ["auto", "%Y-%m-%d %H:%M:%S.%f %Z", "dd/MMM/yyyy:HH:mm:ss Z"], timezone = "Europe/Berlin" } }"#,
        &["x 2026-03-29 02:30:00 y", "1767323045.5", "02.01.2026 03:04", "Jan 2, 2026 3:04:05 PM"],
    ),
    (
        r#"{ regex = { pattern = '(?<t>.*)' } }, { timestamp = { field = "t", format = ["unix", "%d/%b/%y %I:%M %p %z", "auto"], keep = true } }"#,
        &["1767323045123456", "02/Jan/26 03:04 AM -0330", "99999999999999999999"],
    ),
    (
        r#"{ regex = { pattern = '(?<a>\S*) ?(?<b>\S*) ?(?<level>.*)' } }, { severity = { field = "level", names = { w = "warn" } } },
           { cast = { a = "bytes", b = "duration_ms" } }, { rename = { a = "c", b = "message" } }, { add = { d = 1, e = true, f = 0.5, c = "x" } }, { drop = ["d", "f"] }"#,
        &["3.5GiB 1m30s W", "9e999 -0x8000000000000000 x", "1e308EiB 99999999999999999999h \u{130}"],
    ),
    (
        r#"{ regex = { pattern = '(?<n>[^ ]*) (?<u>.*)' } }, { cast = { n = "long", u = "double" } }, { lift = { message = "n", user = "u", host = "u" } }"#,
        &["0777 1e400", "-9223372036854775809 nan", "9223372036854775808 -0"],
    ),
    (
        r#""strip_ansi", { json = { optional = true, remove = true, field = "message", prefix = "p." } }"#,
        &["\u{1b}[31mred\u{1b}[0m \u{1b}]0;x\u{7}\u{1b}", "{\"a\":\"\u{1b}[1m\"}"],
    ),
    (
        r#"{ first_of = [["json"], [{ when = { contains = "=", then = ["logfmt"], else = [{ when = { matches = '^\d+$', not = true, then = ["syslog"] } }] } }], [{ add = { kind = "other" } }]] }"#,
        &["{\"a\":1}", "a=b", "77", "<1>x"],
    ),
];

fn compiled() -> Vec<Arc<Source>> {
    let source = |(number, (steps, _)): (usize, &(&str, _))| {
        let toml = format!(
            "name = \"s{number}\"\nstreams = [\"web\"]\ntypes = {{ c = \"long\", a = \"double\" }}\nsteps = [{steps}]"
        );
        Arc::new(self::source(&toml).unwrap_or_else(|error| panic!("{steps}: {error}")))
    };
    STEPS.iter().enumerate().map(source).collect()
}

/// Number of each kind of step. A new one does not compile until it has one, and a line above.
fn kind(step: &Step) -> usize {
    match step {
        Step::Timestamp { .. } => 0,
        Step::Severity { .. } => 1,
        Step::Lift { .. } => 2,
        Step::Rename(_) => 3,
        Step::Drop(_) => 4,
        Step::Cast(_) => 5,
        Step::Add(_) => 6,
        Step::StripAnsi => 7,
        Step::FirstOf { .. } => 8,
        Step::When { .. } => 9,
        Step::Read { reader, .. } => match reader {
            Reader::KeyValue(_) => 10,
            Reader::Delimited(_) => 11,
            Reader::AccessLog(_) => 12,
            Reader::W3c(_) => 13,
            Reader::Dissect(_) => 14,
            Reader::Regex { .. } => 15,
            Reader::Grok { .. } => 16,
            Reader::Url { .. } => 17,
            Reader::Query => 18,
            Reader::Agent => 19,
            Reader::Peer => 20,
            Reader::Format(format) => 21 + Format::ALL.iter().position(|own| own == format).unwrap(),
        },
    }
}

fn add_kinds(steps: &[Step], kinds: &mut BTreeSet<usize>) {
    for step in steps {
        kinds.insert(kind(step));
        match step {
            Step::FirstOf { branches, .. } => branches.iter().for_each(|branch| add_kinds(branch, kinds)),
            Step::When { then, otherwise, .. } => {
                [then, otherwise].into_iter().for_each(|own| add_kinds(own, kinds))
            }
            _ => {}
        }
    }
}

#[test]
fn every_kind_of_step_is_fuzzed() {
    let sources = compiled();
    let mut kinds = BTreeSet::new();
    sources.iter().for_each(|source| add_kinds(&source.steps, &mut kinds));
    assert_eq!(kinds, (0..21 + Format::ALL.len()).collect());
    // What is changed is read as it is, so that the changes reach further than the first byte.
    for (source, (steps, lines)) in sources.iter().zip(&STEPS) {
        assert!(lines.iter().any(|line| source.read(line, RECEIVED).is_ok()), "{steps}");
    }
}

fn planned(source: &Arc<Source>, body: &[u8], received: i64) -> Plan {
    let job: Parse = job(Format::Auto).with_sources(vec![source.clone()]);
    let value = framed(&millrace_schemas::RawEvent { received, ..line(body) });
    plan(&job, &batch(&[value], 40), &Cells::default(), None)
}

/// Bytes that formats are made of.
const TOKENS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b":",
    b"|",
    b"%",
    b" ",
    b"\t",
    b"\n",
    b"\0",
    b"-",
    b"0",
    b"9999999999",
    b"\x1b[",
    b"\xff",
    "\u{e4}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"<",
    b"'",
    b"&",
];

/// A step, and one of its lines with bytes changed, put in, doubled and taken away, or plain noise.
fn tried() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 0..8);
    let edited = (0..STEPS.len(), any::<prop::sample::Index>(), edits).prop_map(|(step, seed, edits)| {
        let lines = STEPS[step].1;
        let mut bytes = lines[seed.index(lines.len())].as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len() + 1);
            let token = TOKENS[usize::from(byte) % TOKENS.len()];
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => drop(bytes.splice(at..at, token.iter().copied())),
                2 => drop(bytes.splice(at.., token.iter().copied())),
                3 => bytes.extend_from_within(at..),
                4 => drop(bytes.drain(..at)),
                _ => bytes.truncate(at),
            }
            bytes.truncate(4_000);
        }
        (step, bytes)
    });
    let noise = (0..STEPS.len(), prop::collection::vec(any::<u8>(), 0..120));
    prop_oneof![6 => edited, 1 => noise]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_an_event_or_one_dead_letter((step, body) in tried(), received in prop_oneof![3 => Just(RECEIVED), 1 => any::<i64>()]) {
        thread_local!(static SOURCES: Vec<Arc<Source>> = compiled());
        SOURCES.with(|sources| {
            let plan = planned(&sources[step], &body, received);
            prop_assert_eq!(plan.outputs().len() + plan.dead().len(), 1, "{}", STEPS[step].0);
            for output in plan.outputs() {
                let event: millrace_schemas::Event<'_> = event_codec().decode(output.value).unwrap();
                prop_assert_eq!(event.body, &body[..]);
                for (field, cast) in [("c", Cast::Long), ("a", Cast::Double)] {
                    let value = event.fields.find(field);
                    prop_assert!(value.is_none_or(|value| cast.is_of(value)), "{} is {:?}", field, value);
                }
            }
            for dead in plan.dead() {
                prop_assert!(["no_match", "too_complex"].contains(&dead.letter.reason.as_ref()));
                prop_assert_eq!((dead.letter.parser.as_ref(), dead.letter.parser_version), (sources[step].name(), 1));
            }
            Ok(())
        })?;
    }
}
