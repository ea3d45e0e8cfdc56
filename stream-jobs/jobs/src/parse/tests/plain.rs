//! What programs write, seen by looks.

use super::{Format, check};

#[track_caller]
fn plain(body: &str, expected: &str) {
    check(Format::Auto, body, &format!("plain {expected}"));
    check(Format::Plain, body, &format!("plain {expected}"));
}

#[test]
fn a_time_a_level_and_a_message() {
    let at = "2020-05-18T14:38:34.123000Z";
    for (body, found) in [
        ("2020-05-18 14:38:34,123 INFO a message", "severity<info> message<a message>"),
        ("2020-05-18 14:38:34,123 - my.db - WARNING - slow", "severity<warning> message<slow> logger=my.db"),
        (
            "2020-05-18 14:38:34.123 [http-1] ERROR c.e.Main - boom",
            "severity<error> message<boom> thread=http-1 logger=c.e.Main",
        ),
        (
            "2020-05-18 14:38:34.123  INFO 12 --- [app] [   main] c.e.App   : Started",
            "severity<info> message<Started> pid=12L application=app thread=main logger=c.e.App",
        ),
        (
            "18-May-2020 14:38:34.123 INFO [main] org.apache.Catalina.start Server startup",
            "severity<info> message<Server startup> logger=org.apache.Catalina.start thread=main",
        ),
        (
            "[2020-05-18 14:38:34,123] WARN [Controller id=0] gone (k.C)",
            "severity<warn> message<[Controller id=0] gone (k.C)>",
        ),
        (
            "[2020-05-18T14:38:34,123][INFO ][o.e.n.Node    ] [n] started",
            "severity<info> message<[n] started> logger=o.e.n.Node",
        ),
        ("2020-05-18T14:38:34.123Z  INFO my::server: up", "severity<info> message<up> logger=my::server"),
        (
            "2020-05-18T14:38:34.123Z\tINFO\tctl/main.go:12\tup\t{\"a\": 1}",
            "severity<info> message<up\t{\"a\": 1}> file=ctl/main.go line=12L",
        ),
        ("2020-05-18T14:38:34.123Z [info]: hello", "severity<info> message<hello>"),
        ("2020-05-18 14:38:34.123|INFO|My.Program|hello", "severity<info> message<hello> logger=My.Program"),
        (
            "[2020-05-18 14:38:34,123: INFO/MainProcess] ready",
            "severity<info> message<ready> logger=MainProcess",
        ),
        (
            "[2020-05-18T14:38:34.123000+00:00] app.INFO: hello {}",
            "severity<info> message<hello {}> logger=app",
        ),
        ("I, [2020-05-18T14:38:34.123 #7]  INFO -- web: up", "severity<info> message<up> pid=7L logger=web"),
        (
            "2020-05-18 14:38:34,123 [myid:1] - WARN  [Send:1:Q$W@1] - gone",
            "severity<warn> message<gone> context=myid:1 thread=Send:1:Q$W@1",
        ),
        (
            "2020-05-18 14:38:34,123 fail2ban.actions   [9]: NOTICE  [sshd] Ban 10.0.0.1",
            "severity<notice> message<[sshd] Ban 10.0.0.1> logger=fail2ban.actions pid=9L",
        ),
        (
            "2020-05-18T14:38:34.123+0000 I NETWORK  [conn1] end",
            "severity<info> message<[conn1] end> component=NETWORK",
        ),
        ("2020-05-18 14:38:34.123 [info] <0.229.0> up", "severity<info> message<up> process=0.229.0"),
        (
            "2020.05.18 14:38:34.123 [ 12 ] {q-1} <Error> exec: Code: 60",
            "severity<error> message<exec: Code: 60> pid=12L context=q-1",
        ),
        ("2020-05-18 14:38:34,123 p=12 u=al n=ansible | PLAY", "message<PLAY> p=12 u=al n=ansible"),
        ("2020-05-18T14:38:34.123Z pid=1 tid=ox INFO: start", "severity<info> message<start> pid=1L tid=ox"),
        (
            "INFO  [main] 2020-05-18 14:38:34,123 Service.java:12 - up",
            "severity<info> message<up> thread=main file=Service.java line=12L",
        ),
        (
            "2020-05-18 14:38:34.123, Info                  CBS    Loaded",
            "severity<info> message<CBS    Loaded>",
        ),
        ("[1234] 2020/05/18 14:38:34.123 [INF] Starting", "severity<info> message<Starting> pid=1234L"),
        ("200518143834.123 PROXY.3128 00000 -", "message<PROXY.3128 00000 -.>"),
    ] {
        plain(body, &format!("{at} {}", found.replace("-.>", "->")));
    }
}

#[test]
fn databases_say_who_and_which() {
    plain(
        "2019-09-22 06:28:24 CEST [12-1] al@shop ERROR:  duplicate key",
        "2019-09-22T04:28:24Z severity<error> user<al> message<duplicate key> pid=12L database=shop",
    );
    plain(
        "2019-09-22 06:28:24.5 UTC [12] user=al,db=shop FATAL:  no",
        "2019-09-22T06:28:24.500000Z severity<fatal> user<al> message<no> pid=12L db=shop",
    );
    plain(
        "2020-06-18T10:01:02.5Z 0 [System] [MY-010116] [Server] mysqld starting",
        "2020-06-18T10:01:02.500000Z severity<system> message<mysqld starting> thread=0L code=MY-010116 component=Server",
    );
    plain(
        "98738:M 30 Nov 12:35:54.5 # Server started",
        "2025-11-30T12:35:54.500000Z severity<warning> message<Server started> pid=98738L role=M",
    );
    plain(
        "[4018] 14 Nov 07:01:22.5 * saved",
        "2025-11-14T07:01:22.500000Z severity<notice> message<saved> pid=4018L",
    );
    check(
        Format::Auto,
        "# Time: 2020-06-18T10:01:02.5Z\n# User@Host: al[al] @ web [10.0.0.1]  Id:     8\n# Query_time: 2.5  Rows_sent: 1\nuse shop;\nselect 1;",
        "mysql_slow 2020-06-18T10:01:02.500000Z user<al> message<use shop;\nselect 1;> client=10.0.0.1 thread=8L query_time=2.5D rows_sent=1L",
    );
    check(
        Format::Auto,
        "# User@Host: al[al] @ web []\nSET timestamp=1589812714;\nselect 1;",
        "mysql_slow 2020-05-18T14:38:34Z user<al> message<select 1;> client=web",
    );
}

#[test]
fn a_level_may_begin_the_line() {
    plain("WARNING:root:Watch out!", "severity<warning> message<Watch out!> logger=root #no_time");
    plain(
        "INFO:     10.0.0.1:5 - \"GET /\" 200",
        "severity<info> message<10.0.0.1:5 - \"GET /\" 200> #no_time",
    );
    plain("[ERROR] plugin/errors: 2 a", "severity<error> message<plugin/errors: 2 a> #no_time");
    plain("fail: Microsoft.AspNetCore[13]", "severity<error> message<Microsoft.AspNetCore[13]> #no_time");
    plain("[14:38:34 INF] hello", "severity<info> message<hello> time_of_day=14:38:34 #no_time");
    plain("2:38PM INF hello", "severity<info> message<hello> time_of_day=2:38PM #no_time");
    plain(
        "[14:38:34] [Server thread/WARN]: slow",
        "severity<warn> message<slow> time_of_day=14:38:34 thread=Server thread #no_time",
    );
    plain("[12345.678901] usb 1-1: new", "message<usb 1-1: new> uptime_s=12345.678901D #no_time");
    for words in [
        "information is power",
        "Error in the head",
        "hello",
        "error",
        "a: b",
        "Traceback (most recent call last):",
    ] {
        assert!(
            super::show_plan(&super::plan_lines(Format::Plain, &[super::line(words.as_bytes())]))
                .starts_with('!'),
            "{words}"
        );
    }
}

#[test]
fn a_time_alone_leaves_the_rest_as_it_is() {
    plain("2020/05/18 14:38:34 listening on :80", "2020-05-18T14:38:34Z message<listening on :80>");
    plain("2020/05/18 14:38:34 main.go:12: up", "2020-05-18T14:38:34Z message<up> file=main.go line=12L");
    plain(
        "[18/May/2020 14:38:34] \"GET / HTTP/1.1\" 200 1",
        "2020-05-18T14:38:34Z message<\"GET / HTTP/1.1\" 200 1>",
    );
    plain(
        "May 18, 2020 2:38:34 PM a.b.C run\nINFO: up",
        "2020-05-18T14:38:34Z severity<info> message<up> logger=a.b.C run",
    );
    plain(
        "[18-May-2020 14:38:34 UTC] PHP Fatal error:  no such thing",
        "2020-05-18T14:38:34Z severity<fatal> message<PHP Fatal error:  no such thing>",
    );
    plain(
        "=ERROR REPORT==== 18-May-2020::14:38:34 ===\nno",
        "2020-05-18T14:38:34Z severity<error> message<\nno>",
    );
}

/// Of three short numbers the order that lies next to the receipt counts, and none that lies ahead.
#[test]
fn years_of_two_digits() {
    plain("20/05/18 14:38:34 INFO Main: x", "2020-05-18T14:38:34Z severity<info> message<Main: x>");
    plain("5/18/20 14:38:34 x", "2020-05-18T14:38:34Z message<x>");
    plain("18/05/20 14:38:34 x", "2020-05-18T14:38:34Z message<x>");
    plain("25/12/26 14:38:34 x", "2025-12-26T14:38:34Z message<x>");
    plain(
        "081109 203615 148 INFO dfs.Node$P: x",
        "2008-11-09T20:36:15Z severity<info> message<x> pid=148L logger=dfs.Node$P",
    );
}

#[test]
fn syslog_stays_syslog() {
    check(
        Format::Auto,
        "2020-05-18 14:38:34 web sshd[7]: x",
        "rfc3164 2020-05-18T14:38:34Z message<x> hostname=web appname=sshd procid=7",
    );
    check(
        Format::Auto,
        "2020-05-18T14:38:34Z web sshd: x",
        "rfc3164 2020-05-18T14:38:34Z message<x> hostname=web appname=sshd",
    );
    check(
        Format::Auto,
        "2020-05-18T14:38:34Z up and running",
        "plain 2020-05-18T14:38:34Z message<up and running>",
    );
    check(
        Format::Auto,
        "2020:05:18-14:38:34 fw httpd[7]: id=1",
        "rfc3164 2020-05-18T14:38:34Z message<id=1> hostname=fw appname=httpd procid=7",
    );
    check(
        Format::Auto,
        "%ASA-6-302013: Built",
        "rfc3164 severity<info> message<Built> appname=%ASA-6-302013 #no_time",
    );
}
