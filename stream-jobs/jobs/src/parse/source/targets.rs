//! What holds of any bytes that a step reads, as a function: tests call it with changed lines, `make fuzz` with whatever finds
//! new ways through the steps.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "it is a test")]

use std::sync::Arc;

use millrace_schemas::{Codec, Event, LineEnd, RawEvent, Subject};

use super::Source;
use super::cast::Cast;
use crate::grok::Library;
use crate::parse::{Format, Parse, ParseConfig};
use crate::plan::{Plan, plan};
use crate::table::Table;
use crate::{Batch, Record};

/// Steps, and lines that they read.
pub(super) const STEPS: [(&str, &[&str]); 39] = [
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
    (r#""ltsv""#, &["time:[02/Jan/2026:03:04:05 +0000]\thost:a\tstatus:200\tua:-", "a:1\ta:x\ta:y"]),
    (r#""cef""#, &[r"CEF:0|a\|b|c|1.0|100|d|10|src=10.0.0.1 msg=e\=f g rt=1767323045000 cs1Label=h cs1=i"]),
    (
        r#"{ cef = { labels = true } }"#,
        &["CEF:0|a|b|c|d|e|1|cs1=f cs1Label=g h cn1Label=i cs1LabelLabel=j Label=k"],
    ),
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
        r#""access""#,
        &[
            r#"[2016-04-15T20:17:00.310Z] "POST /a HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq" "cc21" "b" "tcp://10.0.2.1:80""#,
            r#"http 2018-07-02T22:23:00.186641Z app/b/5 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 -1 200 200 34 366 "GET http://a:80/ HTTP/1.1" "curl" - -"#,
            r#"79a5 B [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a5 3E REST.GET - "GET /B HTTP/1.1" 200 - 113 - 7 - "-" "S3" -"#,
            "1286536308.779    180 192.168.0.224 TCP_MISS/200 411 GET http://a/b al DIRECT/125.23.175.88 text/plain",
            "2020-05-18 14:38:34 10.0.0.5 GET /a b=c 443 al 192.0.2.9 Mozilla/5.0+(X) https://x/ 200 0 0 15",
            r#"<134>Feb  6 12:12:56 h haproxy[7]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] f b/s 0/0/1/2/7 200 +212 - - -- 0/0/0/0/3 0/0 {a} {} "GET / HTTP/1.1""#,
            "#Fields: date time",
        ],
    ),
    (
        r#""netfilter""#,
        &[
            "May 18 14:38:34 gw kernel: [1234.5] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=40 PROTO=TCP SPT=x SYN",
        ],
    ),
    (
        r#""mysql_slow""#,
        &[
            "# Time: 2020-06-18T10:01:02.5Z\n# User@Host: a[a] @ h [10.0.0.1]  Id: 8\n# Query_time: 2.5  Rows_sent: 1\nSET timestamp=1589812714;\nselect 1;",
        ],
    ),
    (
        r#""plain""#,
        &[
            "2020-05-18 14:38:34,123 [main] INFO  a.b.C - message",
            "[2018-05-17T08:29:12,177][INFO ][o.e.n.Node     ] [v] initializing",
            "2019-09-22 06:28:24 UTC [12-1] user=al,db=shop FATAL:  no",
            "2020-05-18T14:38:34Z  INFO 123 --- [app] [  main] c.e.App  : Started",
            "1:M 18 May 14:38:34.123 * Ready",
            "I, [2020-05-18T14:38:34.123456 #123]  INFO -- a: x",
            "5/18/20 14:38:34:123 EDT p=1 u=2 | x",
            "WARNING:root:x",
            "May 18, 2020 2:38:34 PM a.b.C run\nINFO: message",
            "2020-05-18T14:38:34.123Z\tINFO\tlogger\ta.go:12\tmessage",
        ],
    ),
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
           { cast = { a = "bytes_binary", b = "duration_ms" } }, { rename = { a = "c", b = "message" } }, { add = { d = 1, e = true, f = 0.5, c = "x" } }, { drop = ["d", "f"] }"#,
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

/// A source for each of [`STEPS`].
pub fn compiled() -> Vec<Arc<Source>> {
    let source = |(number, (steps, _)): (usize, &(&str, _))| {
        let toml = format!(
            "name = \"s{number}\"\nstreams = [\"web\"]\ntypes = {{ c = \"long\", a = \"double\" }}\nsteps = [{steps}]"
        );
        let source = Source::new(toml.parse().unwrap(), &Library::base());
        Arc::new(source.unwrap_or_else(|error| panic!("{steps}: {error}")))
    };
    STEPS.iter().enumerate().map(source).collect()
}

/// A line of any bytes, received at any time, is by step number `step` an event with that body and with the types that the
/// source promises, or one dead letter with its reason (I1).
pub fn step(sources: &[Arc<Source>], step: usize, body: &[u8], received: i64) {
    let source = &sources[step % sources.len()];
    let codec = |subject: &'static str, id, schema| Codec::new(subject, id, schema).unwrap();
    let raw = codec("logs.raw-value", 7, Subject::Raw.schema());
    let event = codec("logs.parsed-value", 9, Subject::Parsed.schema());
    let plan = planned(source, (raw, event), body, received);
    let decoding = codec("logs.parsed-value", 9, Subject::Parsed.schema());
    assert_eq!(plan.outputs().len() + plan.dead().len(), 1, "{}", source.name());
    for output in plan.outputs() {
        let event: Event<'_> = decoding.decode(output.value).unwrap();
        assert_eq!(event.body, body);
        for (field, cast) in [("c", Cast::Long), ("a", Cast::Double)] {
            let is_held = |(name, value): &(_, _)| name != field || cast.is_of(value);
            assert!(event.fields.0.iter().all(is_held), "{field} in {:?}", event.fields);
        }
    }
    for dead in plan.dead() {
        assert!(["no_match", "too_complex"].contains(&dead.letter.reason.as_ref()), "{:?}", dead.letter);
        assert_eq!((dead.letter.parser.as_ref(), dead.letter.parser_version), (source.name(), 1));
    }
}

/// A line of a file.
pub(in crate::parse) fn line(body: &[u8], received: i64) -> RawEvent<'_> {
    RawEvent {
        tenant: "default",
        stream: "web",
        host: "h1",
        file: Some("/var/log/a.log"),
        file_id: Some("f1"),
        attributes: Default::default(),
        received,
        position: Some(millrace_schemas::Position { byte: 10, line: 1 }),
        line_end: LineEnd::Lf,
        piece: None,
        dedup: None,
        body,
    }
}

fn planned(source: &Arc<Source>, (raw, event): (Codec, Codec), body: &[u8], received: i64) -> Plan {
    let mut value = Vec::new();
    raw.encode(&line(body, received), &mut value).unwrap();
    let config = ParseConfig { default_format: Format::Auto, by_stream: Default::default() };
    let job = Parse::new(config, raw, event).with_sources(vec![source.clone()]);
    let mut batch = Batch::default();
    let value = Some(value.as_slice());
    batch.push(Record {
        input: 0,
        partition: 3,
        offset: 40,
        appended: 0,
        key: b"default/h1",
        value,
        first: None,
    });
    plan(&job, &batch, &Table::default(), None)
}
