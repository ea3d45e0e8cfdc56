//! Kinds that are more than one plain line: Java services with their stack traces, and containers as Kubernetes' runtimes
//! write them. An entry of several lines has LF between them and none at its end.

use crate::kinds::{MESSAGES, json, number, text};
use crate::rng::Rng;
use crate::time::Stamp;

const CLASSES: [&str; 8] = [
    "com.example.shop.cart.CartService",
    "com.example.shop.checkout.CheckoutController",
    "com.example.shop.payment.PaymentGateway",
    "com.example.shop.stock.StockRepository",
    "org.springframework.web.servlet.DispatcherServlet",
    "com.zaxxer.hikari.pool.HikariPool",
    "org.apache.catalina.core.StandardWrapperValve",
    "java.util.concurrent.ThreadPoolExecutor$Worker",
];
const METHODS: [&str; 8] =
    ["checkout", "reserve", "authorize", "findById", "doDispatch", "getConnection", "invoke", "run"];
const EXCEPTIONS: [&str; 6] = [
    "java.lang.NullPointerException",
    "java.lang.IllegalStateException",
    "java.sql.SQLTransientConnectionException",
    "java.net.SocketTimeoutException",
    "com.example.shop.payment.DeclinedException",
    "java.util.concurrent.TimeoutException",
];
const LEVELS: [&str; 4] = ["INFO ", "INFO ", "WARN ", "DEBUG"];
/// What a container runtime cuts a line into, much smaller than the real 16 KiB, so that parts are often met.
const PART: usize = 120;

/// A log line of a Java service; one in four is an error with its stack trace.
pub(crate) fn java(rng: &mut Rng, stamp: &Stamp, user: u32, out: &mut Vec<u8>) {
    let fails = rng.below(4) == 0;
    stamp.java(out);
    out.push(b' ');
    text(if fails { "ERROR" } else { rng.skewed(&LEVELS) }, out);
    text(" [http-nio-8080-exec-", out);
    number(1 + rng.below(20), out);
    text("] ", out);
    text(rng.skewed(&CLASSES), out);
    text(" - ", out);
    text(rng.skewed(&MESSAGES), out);
    text(" user=u", out);
    number(u64::from(user), out);
    if fails {
        let n_causes = 1 + rng.below(2);
        for cause in 0..n_causes {
            trace(rng, cause > 0, out);
        }
    }
}

fn trace(rng: &mut Rng, cause: bool, out: &mut Vec<u8>) {
    text(if cause { "\nCaused by: " } else { "\n" }, out);
    text(rng.skewed(&EXCEPTIONS), out);
    text(": ", out);
    text(rng.skewed(&MESSAGES), out);
    for _ in 0..3 + rng.below(9) {
        text("\n\tat ", out);
        text(rng.skewed(&CLASSES), out);
        out.push(b'.');
        text(rng.skewed(&METHODS), out);
        text("(Source.java:", out);
        number(10 + rng.below(700), out);
        out.push(b')');
    }
    if cause {
        text("\n\t... ", out);
        number(20 + rng.below(30), out);
        text(" more", out);
    }
}

/// A container's line as CRI runtimes write it; one in eight in parts, `P` and a last `F`.
pub(crate) fn kubernetes(rng: &mut Rng, stamp: &Stamp, user: u32, out: &mut Vec<u8>) {
    let stream = if rng.below(5) == 0 { " stderr " } else { " stdout " };
    let mut line = Vec::with_capacity(256);
    json(rng, stamp, user, &mut line);
    if rng.below(8) > 0 {
        part(stamp, stream, b"F ", &line, out);
        return;
    }
    let mut parts = line.chunks(PART).peekable();
    while let Some(bytes) = parts.next() {
        let last = parts.peek().is_none();
        part(stamp, stream, if last { b"F " } else { b"P " }, bytes, out);
        if !last {
            out.push(b'\n');
        }
    }
}

fn part(stamp: &Stamp, stream: &str, flag: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    stamp.nanos(out);
    text(stream, out);
    out.extend_from_slice(flag);
    out.extend_from_slice(bytes);
}
