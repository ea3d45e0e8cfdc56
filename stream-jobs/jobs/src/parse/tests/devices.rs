//! Heads that devices write in place of syslog's.

use super::{Format, check};

/// The same by name and by looks; what begins like RFC 5424 is found out to be none.
#[track_caller]
fn rfc3164(body: &str, expected: &str) {
    check(Format::Rfc3164, body, &format!("rfc3164 {expected}"));
    let name = if body.starts_with("<13>1 ") { "syslog" } else { "rfc3164" };
    check(Format::Auto, body, &format!("{name} {expected}"));
}

#[test]
fn days_of_the_week_and_zones() {
    let head = "severity<notice> message<x> facility=user hostname=h appname=a";
    for (time, utc) in [
        ("Thu Jan  1 22:14:15 2026", "2026-01-01T22:14:15Z"),
        ("Thu, Jan  1 22:14:15", "2026-01-01T22:14:15Z"),
        ("Jan  1 22:14:15+02:00", "2026-01-01T20:14:15Z"),
        ("Jan 1 2026 22:14:15.5 +0200", "2026-01-01T20:14:15.500000Z"),
        ("Jan  1 22:14:15Z", "2026-01-01T22:14:15Z"),
        ("Jan  1 22:14:15 CET", "2026-01-01T21:14:15Z"),
        ("Jan  1 22:14:15 CST 2026", "2026-01-02T04:14:15Z"),
        ("Jan  1 22:14:15,123 2026 CET", "2026-01-01T21:14:15.123000Z"),
        ("2026:01:01-22:14:15", "2026-01-01T22:14:15Z"),
        ("2026/01/01 22:14:15", "2026-01-01T22:14:15Z"),
        ("1 Jan 2026 22:14:15", "2026-01-01T22:14:15Z"),
        ("January 1 22:14:15", "2026-01-01T22:14:15Z"),
        ("01/01/2026:22:14:15 GMT", "2026-01-01T22:14:15Z"),
        ("Jan  1 2026 10:14:15 PM", "2026-01-01T22:14:15Z"),
        ("Jan  1 2026 12:14:15 AM", "2026-01-01T00:14:15Z"),
        ("1 1767305655.500", "2026-01-01T22:14:15.500000Z"),
        ("1 Jan  1 22:14:15", "2026-01-01T22:14:15Z"),
    ] {
        rfc3164(&format!("<13>{time} h a: x"), &format!("{utc} {head}"));
    }
    rfc3164("Thu Jan  1 22:14:15 2026 h a: x", "2026-01-01T22:14:15Z message<x> hostname=h appname=a");
    // Letters that are the name of a host, or of a program.
    rfc3164("Jan  1 22:14:15 et a: x", "2026-01-01T22:14:15Z message<x> hostname=et appname=a");
    rfc3164("Jan  1 22:14:15 z a: x", "2026-01-01T22:14:15Z message<x> hostname=z appname=a");
    rfc3164("Jan  1 22:14:15 CET", "2026-01-01T22:14:15Z message<> hostname=CET");
    rfc3164("<13>1000 of them", "severity<notice> message<1000 of them> facility=user #no_time");
    rfc3164("<13>1767305655 of them", "severity<notice> message<1767305655 of them> facility=user #no_time");
}

#[test]
fn devices_without_a_clock_say_how_long_they_are_up() {
    let up = "severity<err> message<x> facility=local7";
    for (head, name) in [
        ("29: 1w2d: ", ""),
        ("29: sw1: 3d04h: ", "hostname=sw1 "),
        ("00:05:11: ", ""),
        ("29: 00:05:11.123: ", ""),
    ] {
        let body = format!("<187>{head}%LINK-3-UPDOWN: x");
        check(Format::Syslog, &body, &format!("syslog {up} {name}appname=%LINK-3-UPDOWN #no_time"));
        check(Format::Auto, &body, &format!("rfc3164 {up} {name}appname=%LINK-3-UPDOWN #no_time"));
    }
    rfc3164(
        "<187>Jan  1 10:02:08 10.0.0.1 29: 1w2d: %LINK-3-UPDOWN: x",
        &format!("2026-01-01T10:02:08Z {up} hostname=10.0.0.1 appname=%LINK-3-UPDOWN"),
    );
    rfc3164("<13>29: 1w2d: x", "severity<notice> message<29: 1w2d: x> facility=user #no_time");
}

#[test]
fn what_stands_around_the_time_of_a_device() {
    let up = "severity<err> message<x> facility=local7";
    for (head, name) in [
        ("29: sw1: Jan  1 2026 10:02:08 PM.484 UTC : ", "hostname=sw1 "),
        ("29: Jan  1 22:02:08.484 BRT: ", ""),
        (": 2026 Jan  1 22:02:08.484 UTC : ", ""),
        ("wlc1: *spamApTask1: Jan  1 22:02:08.484: ", "hostname=wlc1 "),
        ("Jan  1 2026 22:02:08.484 fe80::1: ", "hostname=fe80::1 "),
        ("Jan  1 2026 22:02:08.484 sw1  ", "hostname=sw1 "),
        ("Jan  1 22:02:09 10.0.0.1 29: Jan  1 22:02:08.484 UTC : ", "hostname=10.0.0.1 "),
    ] {
        rfc3164(
            &format!("<187>{head}%LINK-3-UPDOWN: x"),
            &format!("2026-01-01T22:02:08.484000Z {up} {name}appname=%LINK-3-UPDOWN"),
        );
    }
}

#[test]
fn a_severity_may_stand_before_the_tag() {
    let head = "2026-01-01T22:14:15Z severity";
    rfc3164(
        "<13>Jan  1 22:14:15 h warning tmm[7]: x",
        &format!("{head}<notice> message<x> facility=user hostname=h appname=tmm procid=7"),
    );
    rfc3164(
        "Jan  1 22:14:15 h warning tmm[7]: x",
        &format!("{head}<warning> message<x> hostname=h appname=tmm procid=7"),
    );
    rfc3164(
        "<13>Jan  1 22:14:15 h info on: x y",
        &format!("{head}<notice> message<x y> facility=user hostname=h appname=on"),
    );
    for text in ["warning of x", "strange tmm[7]: x"] {
        rfc3164(
            &format!("<13>Jan  1 22:14:15 h {text}"),
            &format!("{head}<notice> message<{text}> facility=user hostname=h"),
        );
    }
}

#[test]
fn consoles_write_no_pri() {
    for (head, time) in [
        ("*Jan  1 10:02:08.483 UTC", "2026-01-01T10:02:08.483000Z "),
        (".Jan  1 10:02:08", "2026-01-01T10:02:08Z "),
        ("000123: *Jan  1 10:02:08.123", "2026-01-01T10:02:08.123000Z "),
        ("Jan  1 10:02:08", "2026-01-01T10:02:08Z "),
    ] {
        let body = format!("{head}: %SYS-5-CONFIG_I: x");
        rfc3164(&body, &format!("{time}severity<notice> message<x> appname=%SYS-5-CONFIG_I"));
    }
    rfc3164("1w2d: %SYS-SP-5-X: x", "severity<notice> message<x> appname=%SYS-SP-5-X #no_time");
}

#[test]
fn what_is_no_host_belongs_to_the_message() {
    let head = "2026-01-01T22:14:15Z severity<notice>";
    for text in ["1,2026/01/01 22:14:15,a", "{\"a\":1, \"b\":2}", "[7]: x", "date=2026-01-01 a=b", "\"a b\""]
    {
        rfc3164(&format!("<13>Jan  1 22:14:15 {text}"), &format!("{head} message<{text}> facility=user"));
    }
    for tag in ["[sshd]", "[sshd]:"] {
        rfc3164(
            &format!("<13>Jan  1 22:14:15 {tag} x"),
            &format!("{head} message<x> facility=user appname=sshd"),
        );
    }
    rfc3164(
        "<13>Jan  1 22:14:15 [10.0.0.1] a: x",
        &format!("{head} message<x> facility=user hostname=[10.0.0.1] appname=a"),
    );
    rfc3164("<13>Jan  1 22:14:15 h\tA\t1 b", &format!("{head} message<A\t1 b> facility=user hostname=h"));
}

#[test]
fn events_of_security_devices_are_seen_within_syslog() {
    let parts = "cefVersion=0 deviceVendor=V deviceProduct=P deviceVersion=1 deviceEventClassId=E name=n severity=3 a=b";
    let time = "2026-01-01T22:14:15Z severity<low>";
    for head in [
        "<13>Jan  1 22:14:15 h ",
        "<13>1 2026-01-01T22:14:15Z h - - - - ",
        "<13>1 2026-01-01T22:14:15Z h - - - ",
    ] {
        let body = format!("{head}CEF:0|V|P|1|E|n|3|a=b");
        check(Format::Auto, &body, &format!("cef {time} {parts} facility=user hostname=h"));
    }
    check(
        Format::Auto,
        "<13> CEF:0|V|P|1|E|n|3|a=b",
        &format!("cef severity<low> {parts} facility=user #no_time"),
    );
    check(
        Format::Auto,
        "<12>{\"a\":true,\"time\":\"2026-01-01T22:14:15Z\"}",
        "json 2026-01-01T22:14:15Z severity<warning> a=true facility=user",
    );
    check(
        Format::Auto,
        "Jan  1 22:14:15 h CEF: 0|V|P|1|E|n|3|a=b",
        &format!("cef {time} {parts} hostname=h"),
    );
    check(
        Format::Auto,
        "<13>Jan  1 22:14:15 h LEEF:1.0|V|P|1|E|a=b\tsev=1",
        &format!(
            "leef {time} leefVersion=1.0 vendor=V product=P version=1 eventId=E a=b sev=1 facility=user hostname=h"
        ),
    );
    rfc3164(
        "<13>Jan  1 22:14:15 h CEF:0|V",
        "2026-01-01T22:14:15Z severity<notice> message<CEF:0|V> facility=user hostname=h",
    );
    check(Format::Auto, "<12>{\"a\":", "rfc3164 severity<warning> message<{\"a\":> facility=user #no_time");
    check(
        Format::Auto,
        "<12>date=2026-01-01 time=22:14:15 devname=fw level=\"alert\"",
        "logfmt 2026-01-01T22:14:15Z severity<alert> devname=fw facility=user",
    );
}
