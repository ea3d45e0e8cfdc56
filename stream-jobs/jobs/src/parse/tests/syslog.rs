use super::{Format, check};

#[track_caller]
fn rfc5424(body: &str, expected: &str) {
    check(Format::Rfc5424, body, &format!("rfc5424 {expected}"));
    check(Format::Auto, body, &format!("rfc5424 {expected}"));
}

#[test]
fn rfc5424_with_all_parts() {
    rfc5424(
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 ID47 [ex@1 iut=\"3\" src=\"App\"][b@2] the message",
        "2003-08-24T12:14:15.000003Z severity<notice> message<the message> facility=local4 hostname=192.0.2.1 \
         appname=myproc procid=8710 msgid=ID47 ex@1.iut=3 ex@1.src=App",
    );
}

#[test]
fn rfc5424_with_nothing() {
    rfc5424("<0>1 - - - - - -", "severity<emerg> message<> facility=kern #no_time");
    rfc5424(
        "<34>1 - h su - - - \u{feff}'su root'",
        "severity<crit> message<'su root'> facility=auth hostname=h appname=su #no_time",
    );
}

#[test]
fn rfc5424_values_are_unescaped_and_repetitions_numbered() {
    rfc5424(
        r#"<34>1 - - - - - [o@1 ip="1" ip="2" x="a\"b\\c\]d\e" ip="3"] m"#,
        r#"severity<crit> message<m> facility=auth o@1.ip=1 o@1.ip.2=2 o@1.x=a"b\c]d\e o@1.ip.3=3 #no_time"#,
    );
}

#[test]
fn rfc5424_names_are_never_used_twice() {
    rfc5424(
        r#"<34>1 - - - - - [a x="1" x.2="2" x="3"][a x="4"]"#,
        "severity<crit> message<> facility=auth a.x=1 a.x.2=2 a.x.3=3 a.x.4=4 #no_time",
    );
}

#[test]
fn rfc5424_is_strict() {
    let stops = |body: &str, detail: &str| {
        check(Format::Rfc5424, body, &format!("!rfc5424 no_match: expected {detail}"));
    };
    stops("hello", "<PRI> from <0> to <191> at byte 0");
    stops("<192>1 - - - - - -", "<PRI> from <0> to <191> at byte 0");
    stops("<01>1 - - - - - -", "<PRI> from <0> to <191> at byte 0");
    stops("<1>0 - - - - - -", "a version at byte 4");
    stops("<1>1 2003-08-24T05:14:15 - - - - -", "a time or - at byte 5");
    stops("<1>1 2003-08-24 05:14:15Z - - - - -", "a time or - at byte 5");
    stops("<1>1 2003-02-30T05:14:15Z - - - - -", "a time or - at byte 5");
    stops("<1>1 - h \u{e4} - - -", "an app name of at most 48 printable characters or - at byte 9");
    stops("<1>1 - h a - - [a", "] after a structured data element at byte 17");
    stops("<1>1 - h a - - [a b=\"]\"]", "\\] for ] in a value at byte 21");
    stops("<1>1 - h a - - [a b=\"c\\", "a closing quote at byte 23");
    stops("<1>1 - h a - - -x", "a blank before the message, or the end at byte 16");
}

#[test]
fn what_is_rfc5424_but_for_details_keeps_its_head() {
    let head = "severity<notice> message<m> facility=user hostname=h appname=a procid=7";
    for (body, time) in [
        ("<13>1 2026-01-01T00:00:01.123456789Z h a 7 - - m", "2026-01-01T00:00:01.123456Z"),
        ("<13>1 2026-01-01T00:00:01 h a 7 - - m", "2026-01-01T00:00:01Z"),
        ("<13>1 2026-01-01T00:00:01Z h a 7 - -m", "2026-01-01T00:00:01Z"),
    ] {
        check(Format::Syslog, body, &format!("syslog {time} {head}"));
        check(Format::Auto, body, &format!("syslog {time} {head}"));
    }
    let other = |body: &str, expected: &str| check(Format::Syslog, body, &format!("syslog {expected}"));
    other(
        "  <13>1 2026-01-01T00:00:01Z h a - - [b x] m",
        "2026-01-01T00:00:01Z severity<notice> message<[b x] m> facility=user hostname=h appname=a",
    );
    other(
        "1 2026-01-01T00:00:01Z h a - - [b c=\"d\"]m",
        "2026-01-01T00:00:01Z message<m> hostname=h appname=a b.c=d",
    );
    other("<13>1 of them", "severity<notice> message<1 of them> facility=user #no_time");
}

#[test]
fn devices_count_their_messages_before_the_time() {
    let read = |body: &str, expected: &str| check(Format::Syslog, body, &format!("syslog {expected}"));
    read(
        "<189>269: Jan  1 10:02:08: %LINK-5-UP: x",
        "2026-01-01T10:02:08Z severity<notice> message<x> facility=local7 appname=%LINK-5-UP",
    );
    read(
        "<187>44: core-1: *Jan  1 10:02:08.123 CET: %SYS-5-CONFIG_I: x",
        "2026-01-01T09:02:08.123000Z severity<err> message<x> facility=local7 hostname=core-1 appname=%SYS-5-CONFIG_I",
    );
    read(
        "<189>: 2025 May 28 13:58:01.908 UTC: %VSHD-5-X: x",
        "2025-05-28T13:58:01.908000Z severity<notice> message<x> facility=local7 appname=%VSHD-5-X",
    );
    read(
        "<166>Jan 01 2026 16:00:28 fw-1 : %ASA-6-106100: x",
        "2026-01-01T16:00:28Z severity<info> message<x> facility=local4 hostname=fw-1 appname=%ASA-6-106100",
    );
    let up = "severity<notice> message<x> facility=local7";
    for (head, name) in [
        ("9: sw1: 000041: ", "hostname=sw1 "),
        ("9: 10.0.0.1 41: ", "hostname=10.0.0.1 "),
        ("9: fe80::1: 41: ", "hostname=fe80::1 "),
        ("sw1: ", "hostname=sw1 "),
        ("9: 41: *", ""),
        (":", ""),
        ("*", ""),
        ("Jan  1 10:02:09 10.0.0.1 sw1: 41: ", "hostname=sw1 "),
        ("9: Jan  1 10:02:09 10.0.0.1 41: ", "hostname=10.0.0.1 "),
        ("Jan  1 10:02:08 10.0.0.1 41: *Mar  1 1993 ", "hostname=10.0.0.1 "),
    ] {
        let time = if head.ends_with("1993 ") { "00:00:01" } else { "Jan  1 2026 10:02:08" };
        read(
            &format!("<189>{head}{time}: %LINK-5-UP: x"),
            &format!("2026-01-01T10:02:08Z {up} {name}appname=%LINK-5-UP"),
        );
    }
    read(
        "<13>9: a Jan  1 10:02:08 b: c",
        "severity<notice> message<9: a Jan  1 10:02:08 b: c> facility=user #no_time",
    );
    read("<13>9: lives", "severity<notice> message<9: lives> facility=user #no_time");
    read("<13>9: a: b: c", "severity<notice> message<9: a: b: c> facility=user #no_time");
}

#[track_caller]
fn rfc3164(body: &str, expected: &str) {
    check(Format::Rfc3164, body, &format!("rfc3164 {expected}"));
    check(Format::Auto, body, &format!("rfc3164 {expected}"));
}

// Lines are received on 2026-01-02T03:04:05Z.
#[test]
fn rfc3164_with_all_parts() {
    rfc3164(
        "<34>Jan  1 22:14:15 mymachine su[12]: 'su root' failed",
        "2026-01-01T22:14:15Z severity<crit> message<'su root' failed> facility=auth hostname=mymachine appname=su procid=12",
    );
}

#[test]
fn rfc3164_without_pri() {
    rfc3164(
        "Nov 3 09:23:38 h automount[7998]: x",
        "2025-11-03T09:23:38Z message<x> hostname=h appname=automount procid=7998",
    );
}

#[test]
fn year_turns_with_the_receipt() {
    rfc3164("Dec 31 23:59:59 h a: x", "2025-12-31T23:59:59Z message<x> hostname=h appname=a");
    rfc3164("Jan  3 03:00:00 h a: x", "2026-01-03T03:00:00Z message<x> hostname=h appname=a");
    rfc3164("Jan  3 03:05:00 h a: x", "2025-01-03T03:05:00Z message<x> hostname=h appname=a");
    rfc3164("Feb 29 03:05:00 h a: x", "2024-02-29T03:05:00Z message<x> hostname=h appname=a");
}

#[test]
fn rfc3164_times_of_other_makes() {
    rfc3164("AUG 10 22:18:24 h a: x", "2025-08-10T22:18:24Z message<x> hostname=h appname=a");
    rfc3164(
        "<13>Oct 11 2024 22:14:15.5 h a: x",
        "2024-10-11T22:14:15.500000Z severity<notice> message<x> facility=user hostname=h appname=a",
    );
    rfc3164(
        "<13>2024-10-11T22:14:15.5+02:00 h a: x",
        "2024-10-11T20:14:15.500000Z severity<notice> message<x> facility=user hostname=h appname=a",
    );
    rfc3164("2024-10-11T22:14:15Z h a: x", "2024-10-11T22:14:15Z message<x> hostname=h appname=a");
    rfc3164("Oct 11 22:14:15 2024 h a: x", "2024-10-11T22:14:15Z message<x> hostname=h appname=a");
    rfc3164("Oct 11 22:14:15 3024 a: x", "2025-10-11T22:14:15Z message<x> hostname=3024 appname=a");
}

#[test]
fn rfc3164_without_host_or_tag() {
    rfc3164(
        "<133>Jan  1 16:33:35 haproxy[73411]: Proxy started.",
        "2026-01-01T16:33:35Z severity<notice> message<Proxy started.> facility=local0 appname=haproxy procid=73411",
    );
    rfc3164(
        "Jan  1 16:33:35 h last message repeated 2 times",
        "2026-01-01T16:33:35Z message<last message repeated 2 times> hostname=h",
    );
    rfc3164("Jan  1 16:33:35 fe80::1 app::m: x", "2026-01-01T16:33:35Z message<app::m: x> hostname=fe80::1");
    rfc3164(
        "Jan  1 16:33:35 --- last message repeated 1 time ---",
        "2026-01-01T16:33:35Z message<--- last message repeated 1 time --->",
    );
    rfc3164("Jan  1 16:33:35 h", "2026-01-01T16:33:35Z message<> hostname=h");
    rfc3164("Jan  1 16:33:35", "2026-01-01T16:33:35Z message<>");
}

#[test]
fn pri_alone_makes_the_rest_the_message() {
    rfc3164("<13>Use the BFG!", "severity<notice> message<Use the BFG!> facility=user #no_time");
    rfc3164(
        "<13>Feb 30 22:14:15 h a: x",
        "severity<notice> message<Feb 30 22:14:15 h a: x> facility=user #no_time",
    );
}

#[test]
fn rfc3164_needs_pri_or_time() {
    check(
        Format::Rfc3164,
        "hello world",
        "!rfc3164 no_match: expected <PRI>, or a time as Oct 11 22:14:15 at byte 0",
    );
    check(
        Format::Rfc3164,
        "<999>x",
        "!rfc3164 no_match: expected <PRI>, or a time as Oct 11 22:14:15 at byte 0",
    );
}
