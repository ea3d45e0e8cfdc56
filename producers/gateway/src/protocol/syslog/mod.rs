//! Syslog: how a stream of bytes is cut into messages, and which host a message names. What a message means is the parse
//! job's affair; here nothing is changed and nothing is lost.

mod framing;
mod header;

pub use framing::{Fault, Frame, Framer};
pub use header::host;

use crate::item::Item;

/// An item of one message. A datagram's trailing line end or NUL is its end, not its text.
pub fn item<'a>(stream: &'a str, message: &'a [u8]) -> Item<'a> {
    let mut item = Item::new(stream, message);
    item.host = host(message).map(Into::into);
    item
}
