//! Steps by their TOML: what each makes of a line, and what is refused when a source is compiled.

mod formats;
mod hostile;
mod steps;
mod types;

use millrace_schemas::Value;
use proptest::prelude::*;

use super::example::rfc3339_text;
use super::*;

/// 2026-01-02T03:04:05Z
const RECEIVED: i64 = 1_767_323_045_000_000;

fn source(toml: &str) -> Result<Source, SourceError> {
    let toml = if toml.starts_with("name =") { toml.to_owned() } else { format!("name = \"s\"\n{toml}") };
    Source::new(toml.parse().unwrap(), &Library::base())
}

#[track_caller]
fn check(steps: &str, line: &str, expected: &str) {
    check_all(&format!("steps = {steps}"), line, expected);
}

#[track_caller]
fn check_all(toml: &str, line: &str, expected: &str) {
    let source = source(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    let shown = match source.read(line, RECEIVED) {
        Err(stopped) => format!("!{} at {}", stopped.expected, stopped.at),
        Ok(found) => show(&found),
    };
    assert_eq!(shown, expected, "{toml} on {line}");
}

fn show(found: &Found<'_>) -> String {
    let mut shown: Vec<String> = found.time.map(rfc3339_text).into_iter().collect();
    let named = [("severity", &found.severity), ("user", &found.user), ("message", &found.message)];
    shown.extend(named.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}<{text}>"))));
    shown.extend(found.fields.0.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Long(number) => format!("{name}={number}L"),
        Value::Double(number) => format!("{name}={number:?}D"),
        Value::Boolean(truth) => format!("{name}={truth}"),
    }));
    shown.extend(found.flags.iter().map(|flag| format!("#{flag}")));
    shown.join(" ")
}

#[track_caller]
fn refused(toml: &str, reason: &str) {
    assert_eq!(source(toml).unwrap_err().to_string(), reason, "{toml}");
}

#[test]
fn steps_follow_each_other() {
    check(
        r#"["syslog", { json = { prefix = "app." } }, { rename = { "app.n" = "number" } }, { drop = "facility" }]"#,
        r#"<13>Jan  1 00:00:01 web app[7]: {"n":1,"msg":"m","at":{"x":true}}"#,
        "2026-01-01T00:00:01Z severity<notice> message<m> hostname=web appname=app procid=7 app.at.x=true number=1L",
    );
}

#[test]
fn a_step_may_read_a_field() {
    check(
        r#"["logfmt", { url = { field = "url", prefix = "url.", remove = true, parameters = true } }]"#,
        "url=/a?b=c&d=%20e took=1",
        "took=1 url.path=/a url.query.b=c url.query.d= e url.query=b=c&d=%20e",
    );
    check(r#"["logfmt", { json = { field = "none" } }]"#, "a=b", "!a field none at 0");
    check(r#"["logfmt", { json = { field = "a", optional = true } }]"#, "a=b", "a=b");
}

#[test]
fn what_was_made_on_the_way_can_be_read_again() {
    check(
        r#"["docker", { grok = { match = "^%{WORD:verb} \"%{DATA:what}\"$" } }]"#,
        r#"{"log":"say \"it\"\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
        "2026-01-01T00:00:00Z message<say \"it\"> stream=stdout verb=say what=it",
    );
}

#[test]
fn regexes_and_grok_give_their_groups() {
    check(r#"[{ regex = { pattern = '^(?P<a>\w+)(?: (?<b>\d+))?$' } }]"#, "x", "a=x");
    check(
        r#"[{ grok = { match = ["^A %{INT:a:int}$", "^B %{NUMBER:b:float} %{GREEDYDATA:message}$"] } }]"#,
        "B 1.5 and so on",
        "message<and so on> b=1.5D",
    );
    check(
        r#"[{ grok = { match = "^%{ID:id}$", patterns = { ID = "[A-Z]{3}" } } }]"#,
        "ABc",
        "!what \"^%{ID:id}$\" has next at 2",
    );
}

#[test]
fn times_and_zones() {
    let in_berlin = |steps: &str| format!("timezone = \"Europe/Berlin\"\nsteps = {steps}");
    check_all(&in_berlin(r#"["logfmt"]"#), "time=2026-07-01T12:00:00 a=b", "2026-07-01T10:00:00Z a=b");
    check_all(
        &in_berlin(r#"["syslog"]"#),
        "Jan  2 05:04:05 h a: m",
        "2026-01-02T04:04:05Z message<m> hostname=h appname=a",
    );
    // Twenty hours ahead, as a clock in another zone may be; two days ahead is last year's.
    check(r#"["syslog"]"#, "Jan  2 23:04:05 h a: m", "2026-01-02T23:04:05Z message<m> hostname=h appname=a");
    check(r#"["syslog"]"#, "Jan  4 23:04:05 h a: m", "2025-01-04T23:04:05Z message<m> hostname=h appname=a");
    check(
        r#"["logfmt", { timestamp = { field = "at", format = ["%d.%m.%y %H:%M", "unix_ms"], timezone = "+01:00" } }]"#,
        r#"at="24.12.25 18:00""#,
        "2025-12-24T17:00:00Z",
    );
    check(
        r#"["logfmt", { timestamp = { field = "at", format = "unix_ms", keep = true } }]"#,
        "at=1767323045123",
        "2026-01-02T03:04:05.123Z at=1767323045123",
    );
    check(r#"["timestamp"]"#, "well [17/May/2015:10:05:03 -0700] said", "2015-05-17T17:05:03Z");
    check(r#"["timestamp"]"#, "no time", "!a time in the message at 0");
    check(r#"["logfmt", { timestamp = { field = "at", optional = true } }]"#, "at=never", "at=never");
}

#[test]
fn clocks_that_are_put_forward_and_back() {
    let steps = |format: &str| {
        format!(
            "timezone = \"Europe/Berlin\"\nsteps = [{{ timestamp = {{ field = \"message\", format = \"{format}\" }} }}]"
        )
    };
    let iso = steps("%Y-%m-%d %H:%M:%S");
    // Of an hour that comes twice, the first; one that does not come is moved.
    check_all(&iso, "2025-10-26 02:30:00", "2025-10-26T00:30:00Z");
    check_all(&iso, "2025-03-30 02:30:00", "2025-03-30T01:30:00Z");
    check_all(&iso, "2016-12-31 23:59:60", "2016-12-31T23:00:00Z");
}

#[test]
fn layouts() {
    let check = |format: &str, text: &str, expected: &str| {
        check(
            &format!("[{{ timestamp = {{ field = \"message\", format = \"{format}\" }} }}]"),
            text,
            expected,
        );
    };
    check("%d/%b/%Y:%H:%M:%S %z", "17/May/2015:10:05:03 +0530", "2015-05-17T04:35:03Z");
    check("dd/MMM/yyyy:HH:mm:ss Z", "17/May/2015:10:05:03 +0530", "2015-05-17T04:35:03Z");
    check("MMM  d HH:mm:ss", "Dec 31 23:59:59", "2025-12-31T23:59:59Z");
    check("%b %e, %Y %I:%M:%S %p", "Jan  2, 2026 12:00:01 AM", "2026-01-02T00:00:01Z");
    check("%Y%m%d%H%M%S%f", "20260102030405123", "2026-01-02T03:04:05.123Z");
    check("%Y-%j", "2024-060", "2024-02-29T00:00:00Z");
    check("%H:%M:%S%.f", "01:02:03,25", "2026-01-02T01:02:03.25Z");
    check("%G-W%V-%u", "2026-W01-5", "2026-01-02T00:00:00Z");
    check("%H:%M:%S.%L", "01:02:03.250001", "2026-01-02T01:02:03.250001Z");
    check("tai64n", "@4000000065e72753", "2024-03-05T14:08:09Z");
    check("TAI64N", "4000000050d506482dbdf024", "2012-12-22T01:00:46.767422Z");
    for (text, expected) in [
        ("2001-09-05T16:36:36.5+0700", "2001-09-05T09:36:36.5Z"),
        ("2001-09-05 16:36:36,5", "2001-09-05T16:36:36.5Z"),
        ("2001-09-05T16:36+07:00", "2001-09-05T09:36:00Z"),
        ("2001-09-05T16:36", "2001-09-05T16:36:00Z"),
        ("2001-09-05", "2001-09-05T00:00:00Z"),
        ("20010905T163636Z", "2001-09-05T16:36:36Z"),
        ("20010905", "2001-09-05T00:00:00Z"),
    ] {
        check("ISO8601", text, expected);
    }
    check("dd/MMM/YYYY:HH:mm:ss Z", "24/Jun/2013:01:29:01 +0000", "2013-06-24T01:29:01Z");
    check("YYYY-'W'ww-e", "2020-W33-2", "2020-08-11T00:00:00Z");
    check("yyyy-MM-dd HH:mm:ss zzz", "2026-07-02 03:04:05 Europe/Berlin", "2026-07-02T01:04:05Z");
    check("yyyy-MM-dd kk:mm", "2026-01-02 24:05", "2026-01-02T00:05:00Z");
    check("h 'o''clock' a, yyyy-MM-dd", "9 o'clock PM, 2026-01-02", "2026-01-02T21:00:00Z");
    check("''yy-MM-dd", "'26-01-02", "2026-01-02T00:00:00Z");
    check("%s", "1767323045", "2026-01-02T03:04:05Z");
    check("unix_us", "1767323045000001", "2026-01-02T03:04:05.000001Z");
    check("unix_s", "1767323045.5", "2026-01-02T03:04:05.5Z");
    check("%A, %d %B %Y %T %Z", "Friday, 02 January 2026 03:04:05 EST", "2026-01-02T08:04:05Z");
}

#[test]
fn fields_are_changed() {
    check(
        r#"["logfmt", { add = { env = "test", n = 1 } }, { cast = { a = "long", b = "double", c = "boolean", d = "bytes", e = "duration_ms", f = "long", g = "bytes_binary", h = "duration_s" } }]"#,
        r#"a=0x1f b=1.5 c=yes d="1.5 KiB" e="1m 2s" f=many g=2kB h=999999d"#,
        "a=31L b=1.5D c=true d=1536.0D e=62000.0D f_text=many g=2048.0D h_text=999999d env=test n=1L",
    );
    check(
        r#"["logfmt", { severity = { field = "lvl2", names = { W = "warning" } } }, { lift = { user = "who", message = "text" } }]"#,
        "lvl2=w who=al text=hello",
        "severity<warning> user<al> message<hello>",
    );
    check(r#"["strip_ansi", "logfmt"]"#, "\u{1b}[31ma=1\u{1b}[0m b=2", "message<a=1 b=2> a=1 b=2");
}

#[test]
fn durations_in_any_usual_form() {
    for (text, ms) in [
        ("12.5ms", "12.5"),
        ("1m30s", "90000.0"),
        ("2 hours, 5 minutes", "7500000.0"),
        ("1 min 3 sec", "63000.0"),
        ("250 millis", "250.0"),
        ("7cs", "70.0"),
        ("-1.5s", "-1500.0"),
        ("PT1M30.5S", "90500.0"),
        ("P1DT2H", "93600000.0"),
        ("P1W", "604800000.0"),
        ("01:02:03.5", "3723500.0"),
        ("90:05", "5405000.0"),
        ("1w", "604800000.0"),
    ] {
        check(
            r#"["logfmt", { cast = { a = "duration_ms" } }]"#,
            &format!("a=\"{text}\""),
            &format!("a={ms}D"),
        );
    }
    for none in ["P", "PT", "P1Y", "PT1D", "1:2", "1:60:00", "1:00:60", "ms", "1", "5 parsecs"] {
        check(
            r#"["logfmt", { cast = { a = "duration_ms" } }]"#,
            &format!("a=\"{none}\""),
            &format!("a_text={none}"),
        );
    }
    check(
        r#"["logfmt", { cast = { a = "duration_cs", b = "duration_ds" } }]"#,
        "a=1s b=1s",
        "a=100.0D b=10.0D",
    );
}

#[test]
fn first_branch_that_holds_counts() {
    let steps = r#"["syslog", { first_of = [
        [{ grok = { match = "^Accepted %{WORD:how} for %{WORD:user}" } }, { add = { ok = true } }],
        [{ grok = { match = "^Failed %{WORD:how} for %{WORD:user}" } }],
        [{ dissect = { pattern = "%{first} %{rest}" } }],
    ] }]"#;
    let line = |text: &str| format!("Jan  1 00:00:01 h sshd[1]: {text}");
    let head = |rest: &str| {
        rest.replacen('|', "hostname=h appname=sshd procid=1", 1).replacen('^', "2026-01-01T00:00:01Z", 1)
    };
    check(
        steps,
        &line("Accepted key for al"),
        &head("^ user<al> message<Accepted key for al> | how=key ok=true"),
    );
    check(steps, &line("Failed key for al"), &head("^ user<al> message<Failed key for al> | how=key"));
    check(steps, &line("any thing"), &head("^ message<any thing> | first=any rest=thing"));
    check(steps, &line("nothing"), "!\" \" after \"first\" at 0");
}

#[test]
fn steps_under_a_condition() {
    let steps = r#"["logfmt", { when = { field = "kind", equals = ["a", "b"], then = [{ add = { x = 1 } }], else = [{ drop = ["kind"] }] } }]"#;
    check(steps, "kind=a n=1", "kind=a n=1 x=1L");
    check(steps, "kind=c n=1", "n=1");
    check(r#"[{ when = { matches = '^\d', then = ["logfmt"] } }]"#, "x=1", "");
    check(r#"[{ when = { field = "none", exists = true, not = true, then = ["logfmt"] } }]"#, "x=1", "x=1");
}

#[test]
fn a_pattern_that_takes_too_long_says_so() {
    const SLOW: &str = r"'^(?<a>(a+)+)\2b$'";
    let line = format!("{}-b", "a".repeat(3_000));
    for steps in [
        format!("{{ regex = {{ pattern = {SLOW} }} }}"),
        format!("{{ regex = {{ pattern = {SLOW}, optional = true }} }}"),
        format!("{{ grok = {{ match = ['^x', {SLOW}, '.'] }} }}"),
        format!("{{ first_of = [[{{ regex = {{ pattern = {SLOW} }} }}], ['logfmt']] }}"),
        format!("{{ when = {{ matches = {SLOW}, then = [{{ add = {{ a = 1 }} }}] }} }}"),
    ] {
        let own = source(&format!("steps = [{steps}]")).unwrap_or_else(|error| panic!("{steps}: {error}"));
        assert!(own.read(&line, RECEIVED).unwrap_err().complex, "{steps}");
    }
}

#[test]
fn what_is_wrong_in_a_source_is_named_with_its_path() {
    refused("steps = [\"nope\"]", "s.steps.0.nope: is not the name of a step");
    refused("steps = [{ json = { fild = \"x\" } }]", "s.steps.0.json.fild: is not known here");
    refused("steps = [{ grok = {} }]", "s.steps.0.grok.match: is missing: one expression, or a list of them");
    refused(
        "steps = [{ grok = { match = \"%{NOPE}\" } }]",
        "s.steps.0.grok.match: there is no pattern named NOPE",
    );
    refused("steps = [{ regex = { pattern = \"(\" } }]", "s.steps.0.regex.pattern: no ) follows at byte 1");
    refused(
        "steps = [{ regex = { pattern = \"a\" } }]",
        "s.steps.0.regex.pattern: has no named group, so it would find nothing",
    );
    refused(
        "steps = [{ timestamp = { format = \"%!\" } }]",
        "s.steps.0.timestamp.format: \"%!\": %! is not known",
    );
    refused(
        "timezone = \"Mars\"\nsteps = []",
        "s.timezone: \"Mars\" is no time zone: UTC, +02:00, Europe/Berlin, …",
    );
    refused("name = \"A\"\nsteps = []", "A.name: \"A\" is not made of 1 to 64 of a-z, 0-9, - and _");
    refused("stps = []", "s.steps: is missing");
    refused("steps = []\nmore = 1", "s.more: is not known here");
    refused(
        "steps = [{ first_of = [[\"json\"], [{ when = { then = [] } }]] }]",
        "s.steps.0.first_of.1.0.when.equals: is missing, as are exists, contains, starts_with and matches",
    );
    refused(
        "steps = [{ dissect = { pattern = \"%{a}%{b}\" } }]",
        "s.steps.0.dissect.pattern: between two keys there must be a text",
    );
    refused(
        "steps = [{ apache = { format = \"%h%l\" } }]",
        "s.steps.0.apache.format: between two fields there must be a text",
    );
    refused(
        "steps = [{ cast = { a = \"date\" } }]",
        &format!("s.steps.0.cast.a: \"date\" is not one of {}", Cast::NAMES),
    );
}

#[test]
fn examples_are_checked() {
    let own = source(
        r#"
        steps = ["logfmt"]
        [[example]]
        line = "time=2026-01-01T00:00:00Z n=1 msg=m"
        expect = { time = 2026-01-01T00:00:00Z, n = "1", message = "m" }
        [[example]]
        line = "nothing"
        dead = true
        [[example]]
        line = "n=1"
        expect = { n = 1 }
        "#,
    )
    .unwrap();
    let answers: Vec<_> =
        own.examples().iter().map(|example| example.check(&own).map_err(|failure| failure.what)).collect();
    assert_eq!(answers, [Ok(()), Ok(()), Err("n is \"1\", not 1".to_owned())]);
}

#[test]
fn sources_of_a_file() {
    let file = |rest: &str| {
        format!(
            "[[source]]\nname = \"a\"\nstreams = [\"web\"]\npatterns_dir = \"p\"\nsteps = [{{ grok = {{ match = \"%{{KEY}}\" }} }}]\n{rest}"
        )
    };
    let folder = |name: &str| {
        if name == "p" { Ok(vec!["KEY %{WORD:key}".to_owned()]) } else { Err("none".to_owned()) }
    };
    let error = |rest: &str| Source::list(&file(rest), folder).unwrap_err().to_string();
    let sources =
        Source::list(&file("[[source]]\nname = \"b\"\nversion = 3\nsteps = [\"json\"]"), folder).unwrap();
    let named: Vec<_> = sources.iter().map(|own| (own.name(), own.version(), own.streams().len())).collect();
    assert_eq!(named, [("a", 1, 1), ("b", 3, 0)]);
    assert_eq!(show(&sources[0].read("x", RECEIVED).unwrap()), "key=x");
    assert_eq!(
        error("[[source]]\nname = \"b\"\nstreams = [\"web\"]\nsteps = [\"json\"]"),
        "b: shares its name or a stream with the source a"
    );
    assert_eq!(
        error("[[source]]\nname = \"b\"\npatterns_dir = [\"q\"]\nsteps = [\"json\"]"),
        "source.1.patterns_dir: none"
    );
    assert_eq!(error("[other]"), "other: is not a list of tables: [[source]]");
}

fn any_source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![
        r#"["logfmt"]"#,
        r#"["syslog", { first_of = [["json"], ["logfmt"], [{ dissect = { pattern = "%{a} %{b}" } }]] }]"#,
        r#"["cef"]"#,
        r#"["leef"]"#,
        r#"["cri"]"#,
        r#"["docker", { json = { optional = true } }]"#,
        r#"["glog"]"#,
        r#"["ltsv"]"#,
        r#"[{ csv = { columns = ["a"] } }, { url = { field = "a", optional = true, parameters = true } }]"#,
        r#"[{ apache = { format = "vhost_combined" } }]"#,
        r#"["nginx", { user_agent = { field = "agent", optional = true } }]"#,
        r#"["apache_error"]"#,
        r#"["nginx_error"]"#,
        r#"[{ w3c = { columns = "date time x" } }]"#,
        r#"["timestamp", "strip_ansi", "peer"]"#,
        r#"[{ grok = { match = ["^%{COMBINEDAPACHELOG}", "%{SYSLOGBASE} %{GREEDYDATA:message}", "%{IP:ip} %{QS:q}"] } }]"#,
        r#"["user_agent", "query_string", { cast = { a = "bytes" } }]"#,
    ])
    .prop_map(|steps| source(&format!("steps = {steps}")).unwrap())
}

const SEEDS: [&str; 8] = [
    r#"a=1 b="x \"y\"" time=2026-01-01T00:00:00Z [x] "q" 10.0.0.1"#,
    "CEF:0|a|b|c|d|e|5|src=1.2.3.4 msg=a\\=b x=y LEEF:2.0|a|b|c|d|x09|k=v",
    r#"{"log":"a \u001b[1m b\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
    r#"a:1 10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 5 "-" "Mozilla/5.0 (X11; Linux) Firefox/3""#,
    "[Sat Dec 28 09:18:05.1 2013] [core:info] [pid 1:tid 2] [client ::1:80] m",
    "2021/04/01 13:02:31 [error] 31#32: *1 open(), client: ::1, excess: 1.5 by zone \"z\"",
    "I20210131 14:48:54.411655 15520 main.c:9] ü",
    "<34>Oct 11 22:14:15 h su[12]: {\"a\":[1,{\"b\":null}]}",
];

fn line() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..4_u8), 0..8);
    let edited = (prop::sample::select(&SEEDS[..]), edits).prop_map(|(seed, edits)| {
        let mut text: Vec<char> = seed.chars().collect();
        for (at, own, kind) in edits {
            let at = at.index(text.len() + 1);
            match kind {
                0 if at < text.len() => text[at] = own,
                1 => text.insert(at, own),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.truncate(at.max(1)),
            }
        }
        text.into_iter().collect()
    });
    prop_oneof![4 => edited, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 12, ..ProptestConfig::default() })]

    #[test]
    fn any_line_is_read_or_refused(source in any_source(), line in line(), received in any::<i64>()) {
        match source.read(&line, received) {
            Ok(_) => {}
            Err(stopped) => prop_assert!(stopped.at <= line.len(), "{} of {}", stopped.at, line.len()),
        }
    }
}
