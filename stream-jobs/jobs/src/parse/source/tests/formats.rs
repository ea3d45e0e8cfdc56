//! What formats make of lines.

use super::{check, refused};

#[test]
fn key_value_pairs() {
    check(r#"["logfmt"]"#, r#"a=1 b="x \"y\" z" c= d e="\t""#, "a=1 b=x \"y\" z c= d=true e=\t");
    check(r#"["logfmt"]"#, r#"a="\u00e9\n\/" b="C:\Users" c='\n' d=\n"#, "a=é\n/ b=C:\\Users c=\\n d=\\n");
    check(r#"["key_value"]"#, r#"e="C:\new""#, r"e=C:\new");
    check(
        r#"[{ key_value = { pair_separator = ":", field_separator = "," } }]"#,
        "\"a b\": c d , e:\"f, g\"",
        "a b=c d e=f, g",
    );
    check(r#"["logfmt"]"#, "a = 1 b =2 c= d", "a=1 b=2 c= d=true");
    check(
        r#"[{ key_value = { pair_separator = ":" } }]"#,
        r#""a b" : "c \"d\""   e    : f"#,
        "a b=c \"d\" e=f",
    );
    check(r#"[{ key_value = { pair_separator = " ", field_separator = "," } }]"#, "a 1, b 2", "a=1 b=2");
    check(r#"["logfmt"]"#, "op='a b' x='c=\"d\"' it='s e'f", "op=a b x=c=\"d\" it='s e'f=true");
    check(r#"["logfmt"]"#, "a=1 a=2 a", "a=[\"1\",\"2\"]");
    check(r#"["logfmt"]"#, "a=[1] b a=2 a=3 b=4", r#"a=["[1]","2","3"] b=4"#);
    check(r#"["logfmt"]"#, "no pairs here", "!key=value at 0");
    check(r#"["logfmt"]"#, "<13>no pairs here", "!key=value at 4");
    check(r#"["logfmt"]"#, "<12>a=1", "severity<warning> a=1 facility=user");
    check(r#"["logfmt"]"#, "<12> a=1 facility=b level=high", "severity<high> a=1 facility=b");
    check(r#"[{ key_value = { pairs_only = true } }]"#, "a=1 b", "!the sign between key and value at 5");
}

#[test]
fn date_and_time_of_day_apart() {
    check(r#"["logfmt"]"#, "date=2026-01-01 time=00:00:01 a=b", "2026-01-01T00:00:01Z a=b");
    for zone in ["tz=+0200", "timezone=CEST", "tz=\"+02:00\""] {
        let shown = zone.replace('"', "");
        check(
            r#"["logfmt"]"#,
            &format!("date=2026/01/01 time=02:00:01 {zone} a=b"),
            &format!("2026-01-01T00:00:01Z {shown} a=b"),
        );
    }
    check(r#"["json"]"#, r#"{"time":"00:00:01","date":"2026-01-01"}"#, "2026-01-01T00:00:01Z");
    check(r#"["logfmt"]"#, "date=2026-01-01 time=soon", "date=2026-01-01 time=soon");
    check(
        r#"["logfmt"]"#,
        "date=2026-01-01 time=2026-01-02T00:00:01Z",
        "2026-01-02T00:00:01Z date=2026-01-01",
    );
}

#[test]
fn audit_of_linux_has_its_time_in_the_message() {
    check(
        r#"["logfmt"]"#,
        "type=CWD msg=audit(1485893834.891:18877199): a=b",
        "2017-01-31T20:17:14.891Z message<audit(1485893834.891:18877199):> type=CWD a=b",
    );
    check(
        r#"["logfmt"]"#,
        "type=CWD msg=audit(1485893834.891:7): msg='op=a b'",
        r#"2017-01-31T20:17:14.891Z message<["audit(1485893834.891:7):","op=a b"]> type=CWD"#,
    );
}

#[test]
fn columns() {
    check(r#"[{ csv = { columns = ["a", "b"] } }]"#, "1,\"x, \"\"y\"\"\",3", "a=1 b=x, \"y\" column_3=3");
    check(r#"[{ dsv = { separator = "|", columns = ["a", "b"] } }]"#, "1|2", "a=1 b=2");
    check(r#"[{ csv = { columns = ["a", "b"] } }]"#, "1", "!a separator of columns at 1");
    check(r#"["csv"]"#, "1,\"2\n3\",4\r\n5,6", "column_1=1 column_2=2\n3 column_3=4");
    check(r#"["csv"]"#, "1,\"2\"\n5,6", "column_1=1 column_2=2");
    check(r#"["csv"]"#, "\"open", "!a closing quote at 5");
    check(r#"["csv"]"#, "a,  \"b, \"\"c\"\"\", d", "column_1=a column_2=b, \"c\" column_3= d");
    check(r#"["csv"]"#, "a, \"b\" c, \"d", "column_1=a column_2= \"b\" c column_3= \"d");
    check(r#"["ltsv"]"#, "host:a\tpath:/x:y\tnone:-", "host=a path=/x:y");
}

#[test]
fn security_formats() {
    check(
        r#"["cef"]"#,
        r"CEF:0|Ven\|dor|prod|1.0|100|name \\ x|7|src=10.0.0.1 msg=a b\=c suser=al cs1=x y cs1Label=L",
        r"severity<high> user<al> message<a b=c> cefVersion=0 deviceVendor=Ven|dor deviceProduct=prod deviceVersion=1.0 deviceEventClassId=100 name=name \ x severity=7 src=10.0.0.1 msg=a b=c suser=al cs1=x y cs1Label=L",
    );
    check(
        r#"[{ cef = { labels = true } }]"#,
        "CEF:0|V|P|1|E|n|1|cs1=x y cn1Label=Left over cs1Label=Own Name cs2=z",
        "severity<low> cefVersion=0 deviceVendor=V deviceProduct=P deviceVersion=1 deviceEventClassId=E name=n severity=1 Own Name=x y cn1Label=Left over cs2=z",
    );
    let head = "severity<low> cefVersion=0 deviceVendor=V deviceProduct=P deviceVersion=1 deviceEventClassId=E name=n severity=1";
    for (times, found) in [
        ("end=1616623591000 rt=1616623591694", "2021-03-24T22:06:31.694Z"),
        ("rt=Sep 07 2018 14:50:39 end=1616623591000", "2018-09-07T14:50:39Z"),
        ("end=1616623591000", "2021-03-24T22:06:31Z"),
    ] {
        check(r#"["cef"]"#, &format!("CEF:0|V|P|1|E|n|1|{times}"), &format!("{found} {head} {times}"));
    }
    check(r#"["cef"]"#, "CEF:0|V|P|1|E|n|1|end=15 rt=soon", &format!("{head} end=15 rt=soon"));
    check(r#"["cef"]"#, "CEF:0|V|P|1|E|n|", "!a bar after a part of the head at 16");
    let parts = "cefVersion=0 deviceVendor=V deviceProduct=P deviceVersion=1 deviceEventClassId=E name=n";
    for (level, severity) in [
        ("10.0", "very-high"),
        (" 6.5 ", "medium"),
        ("Very High", "very-high"),
        ("Unknown", "unknown"),
        ("INFO", "info"),
    ] {
        let level_read = level.trim();
        check(
            r#"["cef"]"#,
            &format!("CEF:0|V|P|1|E|n|{level}|a=b"),
            &format!("severity<{severity}> {parts} severity={level_read} a=b"),
        );
    }
    check(r#"["cef"]"#, "CEF:0|V|P|1|E|n|11|a=b", &format!("severity<11> {parts} a=b"));
    check(r#"["cef"]"#, "CEF:0|V|P|id=7 who=a b", "cefVersion=0 deviceVendor=V deviceProduct=P id=7 who=a b");
    check(r#"["cef"]"#, "CEF:0|V|P|1|E|n|a=b", &format!("{parts} a=b"));
    check(r#"["cef"]"#, "CEF:0|V|P|1|E", "!a bar after a part of the head at 13");
    check(
        r#"["cef"]"#,
        "Jan  1 00:00:01 fw CEF: 0|V|P|1|E|n|Low|a=b facility=own",
        &format!("2026-01-01T00:00:01Z severity<low> {parts} severity=Low a=b facility=own hostname=fw"),
    );
    check(
        r#"["cef"]"#,
        "<12>1 2026-01-01T00:00:02Z fw app - - - CEF:0|V|P|1|E|n||a=b rt=1616623591000",
        &format!(
            "2021-03-24T22:06:31Z severity<warning> {parts} a=b rt=1616623591000 facility=user hostname=fw appname=app"
        ),
    );
    check(
        r#"["leef"]"#,
        "<12>Jan  1 00:00:01 fw LEEF:1.0|V|P|1|E|a=b\tsev=5",
        "2026-01-01T00:00:01Z severity<medium> leefVersion=1.0 vendor=V product=P version=1 eventId=E a=b sev=5 facility=user hostname=fw",
    );
    check(
        r#"["leef"]"#,
        "LEEF:2.0|V|P|1|E|^|src=10.0.0.1^usrName=al^sev=9",
        "severity<very-high> user<al> leefVersion=2.0 vendor=V product=P version=1 eventId=E src=10.0.0.1 usrName=al sev=9",
    );
    check(
        r#"["leef"]"#,
        "LEEF:1.0|V|P|1|E|devTime=2021-Mar-24 22h\tdevTimeFormat=yyyy-MMM-dd HH'h'",
        "2021-03-24T22:00:00Z leefVersion=1.0 vendor=V product=P version=1 eventId=E devTime=2021-Mar-24 22h devTimeFormat=yyyy-MMM-dd HH'h'",
    );
    check(
        r#"["leef"]"#,
        "LEEF:1.0|V|P|1|E|devTime=Mar 24 2021 22:06:31",
        "2021-03-24T22:06:31Z leefVersion=1.0 vendor=V product=P version=1 eventId=E devTime=Mar 24 2021 22:06:31",
    );
}

#[test]
fn access_logs_by_their_setting() {
    check(
        r#"[{ apache = { format = '%v:%p %h %l %u %t "%r" %>s %O "%{X-Id}i" %D' } }]"#,
        r#"a.example:443 10.0.0.1 - al [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 - "i\"d" 55"#,
        "2015-05-17T10:05:03Z user<al> vhost=a.example port=443L client=10.0.0.1 auth=al method=GET path=/a protocol=HTTP/1.1 status=200L header.x-id=i\"d took_us=55L",
    );
    check(
        r#"[{ nginx = { format = '$remote_addr [$time_iso8601] "$request" $status $request_time $upstream_status "$http_cookie"' } }]"#,
        r#"10.0.0.1 [2015-05-17T10:05:03+02:00] "-" 499 0.250 200, 404 "a=b; userid=u7""#,
        "2015-05-17T08:05:03Z user<u7> client=10.0.0.1 status=499L request_time=0.25D upstream_status=200, 404 cookie=a=b; userid=u7",
    );
    check(r#"["nginx"]"#, "10.0.0.1 - - nonsense", "!\" [\" after auth at 11");
    check(
        r#"["nginx"]"#,
        r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" OK 1 "-" "-""#,
        "!a whole number for status at 59",
    );
}

#[test]
fn error_logs() {
    check(
        r#"["apache_error"]"#,
        "[Sat Dec 28 09:18:05.123456 2013] [core:info] [pid 41:tid 29] [client 192.0.2.12:46652] AH00128: [x] missing",
        "2013-12-28T09:18:05.123456Z severity<info> message<AH00128: [x] missing> module=core pid=41L tid=29L client=192.0.2.12 port=46652L",
    );
    check(
        r#"["apache_error"]"#,
        "[Sat Dec 28 09:18:05 2013] [core:info] [client [::1]:46652] AH00128: missing",
        "2013-12-28T09:18:05Z severity<info> message<AH00128: missing> module=core client=::1 port=46652L",
    );
    check(
        r#"["nginx_error"]"#,
        "2021/04/01 13:02:31 [error] 31#32: *1 open() failed, client: 172.17.0.1, request: \"GET / HTTP/1.1\", host: \"h:1\"",
        "2021-04-01T13:02:31Z severity<error> message<open() failed> pid=31L tid=32L cid=1L client=172.17.0.1 request=GET / HTTP/1.1 host=h:1",
    );
}

#[test]
fn containers_and_google() {
    check(
        r#"["cri"]"#,
        "2016-10-06T00:17:09.669794202Z stderr P partly",
        "2016-10-06T00:17:09.669794Z message<partly> stream=stderr #partial",
    );
    check(
        r#"["glog"]"#,
        "I20210131 14:48:54.411655 15520 main.c++:9] Hello",
        "2021-01-31T14:48:54.411655Z severity<info> message<Hello> thread=15520L file=main.c++ line=9L",
    );
    check(
        r#"["klog"]"#,
        "E1231 23:59:59.5 7 klog.go:70] late",
        "2025-12-31T23:59:59.5Z severity<error> message<late> thread=7L file=klog.go line=70L",
    );
}

#[test]
fn columns_of_w3c_are_named_by_the_source() {
    let steps =
        r##"[{ w3c = { columns = "#Fields: date time cs-method cs-uri-stem sc-status cs(User-Agent)" } }]"##;
    check(
        steps,
        "2026-01-01 00:00:01 GET /a 404 curl/8+x",
        "2026-01-01T00:00:01Z cs-method=GET cs-uri-stem=/a sc-status=404L cs(User-Agent)=curl/8+x",
    );
    check(steps, "#Version: 1.0", "#directive");
    check(steps, "2026-01-01 00:00:01 GET", "!as many columns as the source names at 23");
}

#[test]
fn dissected() {
    let steps = |pattern: &str| format!("[{{ dissect = {{ pattern = '{pattern}' }} }}]");
    check(&steps("%{a} [%{b}] %{?c} %{} %{d}"), "1 [2] 3 4 5 6", "a=1 b=2 d=5 6");
    check(&steps("%{a->} %{b}"), "x     y", "a=x b=y");
    check(&steps("%{+t/2} %{+t/1} %{m}"), "b a m", "t=a b m=m");
    check(&steps("%{*k}=%{&k} %{rest}"), "name=value x", "name=value rest=x");
    check(&steps("%{?k}=%{&k} %{rest}"), "name=value x", "name=value rest=x");
    check(&steps("%{a}=%{&k} %{*b}"), "name=value x", "a=name k=value b=x");
    check(&steps("%{n|long} %{d|float} %{[a][b]}"), "12 0.5 x", "n=12L d=0.5D a.b=x");
    check(&steps("%{n|long};%{m}"), "x;1", "n=x m=1");
    refused(
        "name = \"s\"\nsteps = [{ dissect = { pattern = '%{a|stone}' } }]",
        "s.steps.0.dissect.pattern: stone is no type",
    );
    check(&steps("<%{a}>"), "[1]", "!\"<\" at 0");
    check(&steps("<%{a}> %{b};"), "<1> 2; 3;", "a=1 b=2");
    check(&steps("%{a};%{b}"), "1 2", "!\";\" after \"a\" at 0");
}
