//! The address that a line names as the one who came: of a login, a request, a refusal.
//!
//! Lines of many services put it behind the same few words. What a stranger can write, a user name for one, tends to stand
//! before it, so of several the last one counts, but where a form says more.

use std::borrow::Cow;
use std::sync::OnceLock;

use millrace_schemas::Value;

use crate::parse::found::{Found, Stopped};
use crate::pattern::{Dialect, Pattern};

/// With the length of a prefix behind it (`/24`) it is a network.
const V4: &str = r"\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.[A-Za-z]|\.\d+\.|/\d{1,2}(?![\d/.]))";
/// A number of five digits behind it can only be a port. `::` alone is nobody.
const V6: &str = r"(?!::(?![0-9a-fA-F]))(?:(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?)(?:(?=:[1-9]\d{4}(?!\w))|(?![0-9a-fA-F:]|\.\d))";
/// In brackets or quotes or without, perhaps an IPv4 address as IPv6.
const ADDRESS: &str = r#"[\["'<(]?(?:IPv6:)?(?:::[fF]{4}:)?(?<peer>V4|V6)"#;
const NAME: &str = r"(?<peer>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)";

/// The first that matches counts.
const FORMS: [&str; 22] = [
    r"\srhost=ADDRESS(?:\s+user=.*)?$",
    r"\srhost=ADDRESS",
    r".*\brip=ADDRESS",
    r"\[(?:client|remote) ADDRESS",
    r".*, client: ADDRESS",
    // Exim's own address stands behind the other's, in the same brackets.
    r"\[(?:IPv6:)?(?:::[fF]{4}:)?(?<peer>V4|V6)\](?::\d+)? I=\[",
    // The name and the address of a session, before what was done in it.
    r"^(?:[^\s(]+ )*\([^\s()\[\]]+\[ADDRESS\]\):? ",
    r#".*\bRemoteAddress="IPV[46]/\w+/ADDRESS"#,
    r"\bfrom [^\s\[\]]+ADDRESS\]:",
    r"\bfrom NAME via \S+$",
    r"\bfrom ADDRESS port \d+(?: ssh\d?)?(?::|$)",
    r"\bfrom ADDRESS port \d+",
    r"(?i).*(?<![-\w])(?:from|client|remote_addr|relay|ip|host|for|addr|query)[ =:@]+(?:0x\w+ )?ADDRESS",
    r"(?i).*\b(?:from|client|remote_addr|relay|ip|host|for|addr|query)[ =:@]+(?:0x\w+ )?ADDRESS",
    r".* ADDRESS port \d",
    r".*\[(?:IPv6:)?(?:::[fF]{4}:)?(?<peer>V4|V6)[\]:]",
    r"(?i).*\b(?:with|by) ADDRESS",
    r"\|V4\|\d+\|ADDRESS\|\d+",
    r#"(?:^|[\s'"(|@,\[<\]])(?:::[fF]{4}:)?(?<peer>V4|V6)"#,
    r"\srhost=NAME",
    r"'@'NAME'",
    r#"(?i).*\b(?:from|host|client|relay|by)[ =:]+[\["'<(]?NAME"#,
];

fn forms() -> &'static [Pattern] {
    static FORMS_READ: OnceLock<Vec<Pattern>> = OnceLock::new();
    FORMS_READ.get_or_init(|| {
        let whole = |form: &str| {
            form.replace("ADDRESS", ADDRESS).replace("NAME", NAME).replace("V4", V4).replace("V6", V6)
        };
        FORMS.iter().filter_map(|form| Pattern::new(&whole(form), Dialect::Perl).ok()).collect()
    })
}

/// Gives the field `peer`.
pub(crate) fn parse(text: &str) -> Result<Found<'_>, Stopped> {
    for form in forms() {
        let Ok(Some(captures)) = form.captures(text) else { continue };
        let group = form.groups().iter().position(Option::is_some).map_or(0, |at| at + 1);
        if let Some(peer) = captures.span(group).and_then(|span| text.get(span)) {
            let mut found = Found::default();
            found.fields.push("peer", Value::String(Cow::Borrowed(peer)));
            return Ok(found);
        }
    }
    Err(Stopped::new(0, "an address, or a name behind from, rhost=, client and the like"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_a_pattern() {
        assert_eq!(forms().len(), FORMS.len());
    }

    #[test]
    fn who_came_is_found_behind_what_strangers_write() {
        for (line, peer) in [
            ("Failed password for invalid user from 1.2.3.4 from 192.0.2.1 port 22 ssh2", "192.0.2.1"),
            ("auth failure; ruser=rhost=1.2.3.4 rhost=192.0.2.1  user=x", "192.0.2.1"),
            (
                "reject: RCPT from a.example[192.0.2.1]: 450 no hostname, [203.0.113.9]; from=<a@b>",
                "192.0.2.1",
            ),
            ("refused connect from ::ffff:192.0.2.1 (::ffff:192.0.2.1)", "192.0.2.1"),
            ("Accepted key for al from 2001:db8::17 port 22", "2001:db8::17"),
            ("PAM: failure for al from host-1.example.org", "host-1.example.org"),
            ("PAM: error for al from host-1.example.org via 10.0.0.1", "host-1.example.org"),
            ("Failed password for from 1.2.3.4 port 5 ssh2 from 192.0.2.1 port 22 ssh2", "192.0.2.1"),
            ("Failed publickey for al from 192.0.2.1 port 5 ssh2: from 1.2.3.4 port 22 ssh2", "192.0.2.1"),
            ("auth failure; ruser=a rhost=1.2.3.4 rhost=192.0.2.1", "192.0.2.1"),
            ("auth failure; ruser=a rhost=192.0.2.1  user=b rhost=1.2.3.4", "192.0.2.1"),
            ("failed for al from 192.0.2.1(X-Real-IP: 1.2.3.4,X-Forwarded-For: 1.2.3.5).", "192.0.2.1"),
            ("2001:db8::17:58430 [14/Nov/2015:22:45:11.608] main", "2001:db8::17"),
            ("2001:db8::17:5843 [14/Nov/2015:22:45:11.608] main", "2001:db8::17:5843"),
            ("H=(a.example) [192.0.2.1]:3755 I=[203.0.113.9]:25 rejected RCPT b@example.org", "192.0.2.1"),
            ("127.0.0.1 (host-1[192.0.2.1]): no such user from host-1 [203.0.113.9]", "192.0.2.1"),
            (
                r#"LocalAddress="IPV4/UDP/203.0.113.9/5060",RemoteAddress="IPV4/UDP/192.0.2.1/5084""#,
                "192.0.2.1",
            ),
            ("op=password acct=al hostname=? addr=192.0.2.1 res=failed", "192.0.2.1"),
            ("ratelimit block example.com. target 203.0.113.0/24 query 192.0.2.1 TYPE255", "192.0.2.1"),
            ("FAILED :: User: al :: Viewer Address: 192.0.2.1 :: Type: DH", "192.0.2.1"),
            ("192.0.2.1 - - [05/Mar/2007:14:39:21 +0100] \"GET / HTTP/1.0\" 301 459", "192.0.2.1"),
        ] {
            let found = parse(line).unwrap();
            assert_eq!(found.fields.find("peer"), Some(&Value::String(peer.into())), "{line}");
        }
        assert!(parse("nothing of the kind").is_err());
    }
}
