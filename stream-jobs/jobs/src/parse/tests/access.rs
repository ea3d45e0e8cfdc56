//! Access logs in columns, seen by looks.

use super::{Format, check};

#[track_caller]
fn access(body: &str, expected: &str) {
    check(Format::Auto, body, &format!("access {expected}"));
    check(Format::Access, body, &format!("access {expected}"));
}

#[test]
fn of_envoy_and_meshes() {
    access(
        r#"[2016-04-15T20:17:00.310Z] "POST /a HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq" "cc21" "b" "tcp://10.0.2.1:80""#,
        "2016-04-15T20:17:00.310000Z method=POST path=/a protocol=HTTP/2 status=204L bytes_in=154L bytes=0L took_ms=226L upstream_took_ms=100L forwarded=10.0.35.28 agent=nsq request_id=cc21 vhost=b upstream=tcp://10.0.2.1:80",
    );
    access(
        r#"[2019-03-06T09:31:27.360Z] "GET /s HTTP/1.1" 418 - via_upstream - "-" 0 135 5 2 "-" "curl" "d2" "h:8000" "127.0.0.1:80" in|80 - 10.0.0.1:80 10.0.0.2:386 out - x"#,
        "2019-03-06T09:31:27.360000Z method=GET path=/s protocol=HTTP/1.1 status=418L response_details=via_upstream bytes_in=0L bytes=135L took_ms=5L upstream_took_ms=2L agent=curl request_id=d2 vhost=h:8000 upstream=127.0.0.1:80 upstream_cluster=in|80 server=10.0.0.1:80 client=10.0.0.2 port=386L server_name=out extra=x",
    );
}

#[test]
fn of_amazon() {
    access(
        r#"2015-05-13T23:39:43.945958Z lb 192.0.2.39:2817 10.0.0.1:80 0.000073 0.001048 -1 200 200 0 29 "GET http://a:80/ HTTP/1.1" "curl" - -"#,
        "2015-05-13T23:39:43.945958Z balancer=lb client=192.0.2.39 port=2817L upstream=10.0.0.1:80 request_s=7.3e-5D upstream_took_s=0.001048D status=200L upstream_status=200L bytes_in=0L bytes=29L method=GET path=http://a:80/ protocol=HTTP/1.1 agent=curl",
    );
    access(
        r#"h2 2018-07-02T22:23:00.186641Z app/lb/5 192.0.2.39:2817 - -1 -1 -1 502 - 34 366 "GET https://a:443/ HTTP/2.0" "curl" - - arn "Root=1" "a" "-" 0 2018-07-02T22:22:48.364000Z "forward""#,
        "2018-07-02T22:23:00.186641Z type=h2 balancer=app/lb/5 client=192.0.2.39 port=2817L status=502L bytes_in=34L bytes=366L method=GET path=https://a:443/ protocol=HTTP/2.0 agent=curl target_group=arn trace_id=Root=1 vhost=a rule_priority=0L request_time=2018-07-02T22:22:48.364000Z actions=forward",
    );
    access(
        r#"79a5 B [06/Feb/2019:00:00:38 +0100] 192.0.2.3 al 3E REST.GET - "GET /B HTTP/1.1" 200 - 113 - 7 - "-" "S3""#,
        "2019-02-05T23:00:38Z user<al> owner=79a5 bucket=B client=192.0.2.3 requester=al request_id=3E operation=REST.GET method=GET path=/B protocol=HTTP/1.1 status=200L bytes=113L took_ms=7L agent=S3",
    );
    let columns = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td1.net\t/i\t200\t-\tM%20(X)\t-\t-\tHit\tSO\td1.net\thttps\t23\t0.001\t-\tT\tE\tHit\tHTTP/2.0\t-\t-\t11040\t0.5\tHit\ttext/html\t78\t-\t-";
    access(
        columns,
        "2019-12-04T21:02:31Z x-edge-location=LAX1 sc-bytes=392L c-ip=192.0.2.100 cs-method=GET cs(Host)=d1.net cs-uri-stem=/i sc-status=200L cs(User-Agent)=M%20(X) x-edge-result-type=Hit x-edge-request-id=SO x-host-header=d1.net cs-protocol=https cs-bytes=23L time-taken=0.001D ssl-protocol=T ssl-cipher=E x-edge-response-result-type=Hit cs-protocol-version=HTTP/2.0 c-port=11040L time-to-first-byte=0.5D x-edge-detailed-result-type=Hit sc-content-type=text/html sc-content-len=78L",
    );
}

#[test]
fn of_servers_and_proxies() {
    access(
        r"2020-05-18 14:38:34 10.0.0.5 GET /a b=c 443 C\al 192.0.2.9 M+(X) https://x/ 200 0 0 15",
        r"2020-05-18T14:38:34Z user<C\al> s-ip=10.0.0.5 cs-method=GET cs-uri-stem=/a cs-uri-query=b=c s-port=443L cs-username=C\al c-ip=192.0.2.9 cs(User-Agent)=M+(X) cs(Referer)=https://x/ sc-status=200L sc-substatus=0L sc-win32-status=0L time-taken=15L",
    );
    access("#Fields: date time c-ip", "#no_time #directive");
    access(
        "1286536308.779    180 192.0.2.224 TCP_MISS/200 411 GET http://a/b al DIRECT/10.0.0.8 text/plain",
        "2010-10-08T11:11:48.779000Z user<al> took_ms=180L client=192.0.2.224 result=TCP_MISS status=200L bytes=411L method=GET path=http://a/b auth=al hierarchy=DIRECT/10.0.0.8 content_type=text/plain",
    );
    let request = r#"10.0.1.2:333 [06/Feb/2009:12:14:14.655] in~ be/s1 10/0/-1/69/+109 200 +2750 - - ---- 1/2/3/4/0 0/0 {a.b} {} "GET /i HTTP/1.1""#;
    let found = "client=10.0.1.2 port=333L frontend=in backend=be server=s1 request_ms=10L queue_ms=0L response_ms=69L took_ms=109L status=200L bytes=2750L termination=---- active_connections=1L frontend_connections=2L backend_connections=3L server_connections=4L retries=0L server_queue=0L backend_queue=0L request_headers=a.b method=GET path=/i protocol=HTTP/1.1";
    access(request, &format!("2009-02-06T12:14:14.655000Z {found}"));
    access(
        &format!("<134>Feb  6 12:14:14 lb haproxy[7]: {request}"),
        &format!(
            "2009-02-06T12:14:14.655000Z severity<info> {found} facility=local0 hostname=lb appname=haproxy procid=7"
        ),
    );
    access(
        "Feb  6 12:14:14 lb haproxy[7]: 10.0.1.2:333 [06/Feb/2009:12:14:14.655] in be/<NOSRV> 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "2009-02-06T12:14:14.655000Z client=10.0.1.2 port=333L frontend=in backend=be queue_ms=0L connect_ms=0L took_ms=5007L bytes=212L termination=-- active_connections=0L frontend_connections=0L backend_connections=0L server_connections=0L retries=3L server_queue=0L backend_queue=0L hostname=lb appname=haproxy procid=7",
    );
}

#[test]
fn columns_behind_the_agent() {
    let head = r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" "#;
    let found = "apache 2015-05-17T10:05:03Z client=192.0.2.7 method=GET path=/ protocol=HTTP/1.1 status=200L bytes=5L agent=curl";
    for (more, fields) in [
        (
            r#"1 "router@docker" "http://10.0.0.1:80" 0ms"#,
            "request_number=1L router=router@docker upstream=http://10.0.0.1:80 took_ms=0L",
        ),
        (r#"1 "-" "-" 12ms"#, "request_number=1L took_ms=12L"),
        (r#""203.0.113.5, 10.0.0.7""#, "forwarded=203.0.113.5, 10.0.0.7"),
        (
            "83 0.001 [d-web-80] [] 10.1.0.18:80 615 0.004 200 4b3a",
            "request_length=83L took_s=0.001D upstream_name=d-web-80 upstream=10.1.0.18:80 upstream_bytes=615L upstream_took_s=0.004D upstream_status=200L request_id=4b3a",
        ),
        (
            "83 0.001 [d-web-80] [] 10.1.0.18:80, 10.1.0.19:80 0, 615 0.004, 0.002 502, 200 4b3a",
            "request_length=83L took_s=0.001D upstream_name=d-web-80 upstream=10.1.0.18:80, 10.1.0.19:80 upstream_bytes=0, 615 upstream_took_s=0.004, 0.002 upstream_status=502, 200 request_id=4b3a",
        ),
        (r#"0.123 "x y""#, r#"extra=0.123 "x y""#),
        (r#""lang=en" 17"#, "extra=17"),
    ] {
        check(Format::Auto, &format!("{head}{more}"), &format!("{found} {fields}"));
    }
    check(
        Format::Auto,
        r#"127.0.0.1 - - [18/May/2020 14:38:34] "GET / HTTP/1.1" 200 -"#,
        "apache 2020-05-18T14:38:34Z client=127.0.0.1 method=GET path=/ protocol=HTTP/1.1 status=200L",
    );
}

#[test]
fn packets_that_a_filter_logs() {
    check(
        Format::Auto,
        "May 18 14:38:34 gw kernel: [12.5] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TOS=0x00 PROTO=TCP SPT=1 DPT=22 SYN",
        "netfilter 2025-05-18T14:38:34Z message<[12.5] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TOS=0x00 PROTO=TCP SPT=1 DPT=22 SYN> hostname=gw appname=kernel IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 LEN=40L TOS=0x00 PROTO=TCP SPT=1L DPT=22L SYN=true",
    );
}
