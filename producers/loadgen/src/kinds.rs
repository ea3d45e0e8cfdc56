//! One function a kind of line.

use crate::rng::{Rng, mix};
use crate::time::Stamp;

const SECTIONS: [&str; 12] = [
    "products",
    "cart",
    "search",
    "account",
    "static/js",
    "static/css",
    "images",
    "api/v1/orders",
    "api/v1/items",
    "blog",
    "checkout",
    "help",
];
const ENDINGS: [&str; 8] =
    ["", ".html", ".js", ".css", ".png", "?page=2", "?sort=price&order=asc", "?ref=mail"];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"];
const STATUSES: [&str; 10] = ["200", "200", "200", "304", "302", "404", "500", "403", "201", "503"];
const REFERRERS: [&str; 7] = [
    "-",
    "https://shop.example.com/",
    "https://shop.example.com/search?q=lamp",
    "-",
    "https://www.example.org/news",
    "https://shop.example.com/cart",
    "https://news.example.net/a/1742",
];
const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148",
    "curl/8.5.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.32.3",
    "kube-probe/1.30",
];
const HOSTS: [&str; 6] = ["web-1", "web-2", "db-1", "cache-1", "worker-3.example.com", "gw-1"];
const SERVICES: [&str; 6] = ["checkout", "inventory", "payment", "session", "mail", "search"];
const SEVERITIES: [&str; 5] = ["INFO", "INFO", "WARN", "DEBUG", "ERROR"];
pub(crate) const MESSAGES: [&str; 8] = [
    "request done",
    "cache miss, loading from the database",
    "order placed",
    "retrying call to upstream",
    "session refreshed",
    "slow query",
    "payment declined by the issuer",
    "connection pool exhausted, waiting",
];
const DAEMONS: [&str; 6] = ["sshd", "cron", "systemd", "kernel", "postfix/smtpd", "sudo"];

pub(crate) fn apache(rng: &mut Rng, stamp: &Stamp, user: u32, cookie: bool, out: &mut Vec<u8>) {
    address(user, out);
    out.extend_from_slice(b" - - [");
    stamp.apache(out);
    out.extend_from_slice(b"] \"");
    text(rng.skewed(&METHODS), out);
    out.push(b' ');
    path(rng, out);
    out.extend_from_slice(b" HTTP/1.1\" ");
    text(rng.skewed(&STATUSES), out);
    out.push(b' ');
    let size = size(rng);
    number(size, out);
    out.extend_from_slice(b" \"");
    text(rng.skewed(&REFERRERS), out);
    out.extend_from_slice(b"\" \"");
    // A user keeps the browser.
    text(AGENTS[(mix(u64::from(user)) >> 8) as usize % AGENTS.len()], out);
    out.push(b'"');
    if cookie {
        out.extend_from_slice(b" \"userid=");
        uuid(user, out);
        out.push(b'"');
    }
}

pub(crate) fn json(rng: &mut Rng, stamp: &Stamp, user: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    stamp.iso(3, out);
    out.extend_from_slice(b"\",\"severity\":\"");
    text(rng.skewed(&SEVERITIES), out);
    out.extend_from_slice(b"\",\"service\":\"");
    text(rng.skewed(&SERVICES), out);
    out.extend_from_slice(b"\",\"message\":\"");
    text(rng.skewed(&MESSAGES), out);
    out.extend_from_slice(b"\",\"user\":\"");
    uuid(user, out);
    out.extend_from_slice(b"\",\"path\":\"");
    path(rng, out);
    out.extend_from_slice(b"\",\"duration_ms\":");
    let (whole, part) = (size(rng) / 100, rng.below(10));
    number(whole, out);
    out.push(b'.');
    number(part, out);
    out.extend_from_slice(b",\"status\":");
    text(rng.skewed(&STATUSES), out);
    out.push(b'}');
}

pub(crate) fn rfc5424(rng: &mut Rng, stamp: &Stamp, user: u32, out: &mut Vec<u8>) {
    out.push(b'<');
    number(8 * 16 + 3 + rng.below(4), out);
    out.extend_from_slice(b">1 ");
    stamp.iso(6, out);
    out.push(b' ');
    text(rng.skewed(&HOSTS), out);
    out.push(b' ');
    text(rng.skewed(&SERVICES), out);
    out.push(b' ');
    number(1000 + rng.below(40), out);
    out.extend_from_slice(b" ID");
    number(40 + rng.below(12), out);
    out.extend_from_slice(b" [request@32473 user=\"");
    uuid(user, out);
    out.extend_from_slice(b"\" path=\"");
    path(rng, out);
    out.extend_from_slice(b"\"] ");
    text(rng.skewed(&MESSAGES), out);
    out.extend_from_slice(b" after ");
    let size = size(rng);
    number(size, out);
    out.extend_from_slice(b" us");
}

pub(crate) fn rfc3164(rng: &mut Rng, stamp: &Stamp, user: u32, out: &mut Vec<u8>) {
    out.push(b'<');
    number(8 * 4 + 2 + rng.below(5), out);
    out.push(b'>');
    stamp.bsd(out);
    out.push(b' ');
    text(rng.skewed(&HOSTS), out);
    out.push(b' ');
    text(rng.skewed(&DAEMONS), out);
    out.push(b'[');
    number(300 + rng.below(60), out);
    out.extend_from_slice(b"]: session opened for user u");
    number(u64::from(user), out);
    out.extend_from_slice(b" from ");
    address(user, out);
    out.extend_from_slice(b" port ");
    number(32_768 + rng.below(28_000), out);
    out.extend_from_slice(b" ssh2: ED25519 SHA256:");
    uuid(user ^ 0x5555, out);
}

/// A line that no parser reads: cut off, not text, or not of any form.
pub(crate) fn garbage(rng: &mut Rng, out: &mut Vec<u8>) {
    match rng.below(4) {
        0 => out.extend_from_slice(b"{\"time\":\"2026-13-41T99:99:99Z\",\"severity\":\"INFO\",\"mess"),
        1 => {
            for _ in 0..12 {
                let [high, low, ..] = rng.next().to_be_bytes();
                // Not text, and no line end.
                out.extend_from_slice(&[high | 0x80, low | 0x80]);
            }
        }
        2 => text("*** unreadable ***", out),
        _ => {
            text("\tat com.example.Cart.checkout(Cart.java:", out);
            number(rng.below(900), out);
            out.push(b')');
        }
    }
}

pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// One of a few hundred paths.
fn path(rng: &mut Rng, out: &mut Vec<u8>) {
    out.push(b'/');
    text(rng.skewed(&SECTIONS), out);
    out.push(b'/');
    let (a, b) = (rng.below(40), rng.below(40));
    number(100 + a * b / 40, out);
    text(rng.skewed(&ENDINGS), out);
}

/// Mostly small, sometimes large.
fn size(rng: &mut Rng) -> u64 {
    let (range, low) = (rng.below(14), rng.below(512));
    (512 + low) << range >> 4
}

fn address(user: u32, out: &mut Vec<u8>) {
    let [a, b, c, ..] = mix(u64::from(user)).to_be_bytes();
    for (i, part) in [10, a % 32, b, c].into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        number(u64::from(part), out);
    }
}

/// A version 4 UUID that belongs to the user.
fn uuid(user: u32, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let high = mix(u64::from(user) + 1);
    let low = mix(high);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (i, byte) in bytes.into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}
