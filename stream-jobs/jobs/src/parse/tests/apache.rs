use super::{Format, check};

const HEAD: &str = r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 512"#;
const FOUND: &str = "apache 2015-05-17T10:05:03Z client=192.0.2.7 method=GET path=/a?b=c protocol=HTTP/1.1 status=200L bytes=512L";

#[track_caller]
fn apache(body: &str, expected: &str) {
    check(Format::Apache, body, expected);
    check(Format::Auto, body, expected);
}

#[test]
fn common_format_ends_after_the_bytes() {
    apache(HEAD, FOUND);
}

#[test]
fn combined_format_has_referer_and_agent() {
    apache(
        &format!(r#"{HEAD} "http://example.org/" "curl/8 (x; y)""#),
        &format!("{FOUND} referer=http://example.org/ agent=curl/8 (x; y)"),
    );
    apache(&format!(r#"{HEAD} "-" "-""#), FOUND);
}

#[test]
fn cookie_column_gives_the_user() {
    let user = |cookie: &str| format!(r#"{HEAD} "-" "-" "{cookie}""#);
    let found = |user: &str| FOUND.replacen(" client", &format!(" user<{user}> client"), 1);
    apache(&user("userid=u1"), &found("u1"));
    apache(&user("lang=en; userid=u1; theme=light"), &found("u1"));
    apache(&user("lang=en;userid=u1"), &found("u1"));
    apache(&user("userid=first; userid=second"), &found("first"));
    apache(&user(r#"q=\"a\"; userid=u\"1"#), &found("u\"1"));
    for none in ["-", "", "xuserid=a; userid2=b; USERID=c", "userid=", "lang=en;"] {
        apache(&user(none), FOUND);
    }
}

#[test]
fn other_hosts_before_the_time_are_told_apart() {
    apache(
        &format!("www.example.org:443 {HEAD}"),
        &FOUND.replacen(" client", " vhost=www.example.org port=443L client", 1),
    );
    apache(
        &HEAD.replacen("192.0.2.7", "192.0.2.7:1234", 1),
        &FOUND.replacen("192.0.2.7", "192.0.2.7:1234", 1),
    );
    apache(&HEAD.replacen("192.0.2.7", "::1", 1), &FOUND.replacen("192.0.2.7", "::1", 1));
    apache(
        &HEAD.replacen("192.0.2.7", "10.0.0.1, 192.0.2.7", 1),
        &FOUND.replacen("192.0.2.7", "10.0.0.1, 192.0.2.7", 1),
    );
    apache(&format!("{HEAD} "), FOUND);
    apache(
        &format!("www.example.org {HEAD}"),
        &FOUND.replacen(" client", " vhost=www.example.org client", 1),
    );
    apache(
        &format!("www.example.org {}", HEAD.replacen("192.0.2.7", "10.0.0.1, 192.0.2.7", 1)),
        &FOUND.replacen(" client=", " vhost=www.example.org client=10.0.0.1, ", 1),
    );
    for forwarded in ["\"10.0.0.1, 10.0.0.2\"", "10.0.0.1, 10.0.0.2"] {
        apache(
            &format!("{forwarded} {}", HEAD.replacen("- -", "- al", 1)),
            &FOUND.replacen(" client=", " user<al> client=10.0.0.1, 10.0.0.2, ", 1).replacen(
                " method",
                " auth=al method",
                1,
            ),
        );
    }
}

#[test]
fn auth_is_the_user_without_a_cookie() {
    let body = HEAD.replacen("- -", "id al ice", 1);
    let found = FOUND.replacen(" client=192.0.2.7", " user<al ice> client=192.0.2.7 ident=id auth=al ice", 1);
    apache(&body, &found);
}

#[test]
fn zone_is_taken_off() {
    apache(&HEAD.replacen("10:05:03 +0000", "00:05:03 +0530", 1), &FOUND.replacen("17T10:05", "16T18:35", 1));
    apache(&HEAD.replacen("10:05:03 +0000", "23:05:03 -0100", 1), &FOUND.replacen("17T10:05", "18T00:05", 1));
}

#[test]
fn missing_numbers_are_no_fields() {
    apache(&HEAD.replacen("200 512", "- -", 1), &FOUND.replacen(" status=200L bytes=512L", "", 1));
}

#[test]
fn odd_requests_are_kept() {
    let with = |request: &str| HEAD.replacen("GET /a?b=c HTTP/1.1", request, 1);
    let found = |fields: &str| FOUND.replacen(" method=GET path=/a?b=c protocol=HTTP/1.1", fields, 1);
    apache(&with("-"), &found(""));
    apache(&with(""), &found(" request="));
    apache(&with("GET /"), &found(" method=GET path=/"));
    apache(&with("GET /a b HTTP/1.0"), &found(" method=GET path=/a b protocol=HTTP/1.0"));
    apache(&with(r"\x16\x03\x01"), &found(" request=\u{16}\u{3}\u{1}"));
    apache(
        &with(r#"GET /\"q\"\\\xe4 HTTP/1.1"#),
        &found(" method=GET path=/\"q\"\\\u{fffd} protocol=HTTP/1.1"),
    );
}

#[test]
fn what_is_not_of_the_format_says_where_it_stopped() {
    let stops = |body: &str, detail: &str| apache(body, &format!("!apache no_match: expected {detail}"));
    stops("hello", "a blank after the client at byte 5");
    stops("a b c d", "[ before the time at byte 4");
    stops(&HEAD.replacen("May", "Mai", 1), "a time as 17/May/2015:10:05:03 +0000 at byte 15");
    stops(&HEAD.replacen("17/May", "32/May", 1), "a time as 17/May/2015:10:05:03 +0000 at byte 15");
    stops(&HEAD.replacen("200", "OK", 1), "a status at byte 65");
    stops(&HEAD.replacen("512", "99999999999999999999", 1), "a number of bytes at byte 69");
    stops(&format!(r#"{HEAD} "-" "unfinished"#), "a closing quote at byte 88");
    stops(&format!(r#"{HEAD} "-""#), "a blank after the referer at byte 76");
}
