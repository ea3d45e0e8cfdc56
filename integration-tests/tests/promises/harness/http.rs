//! Just enough HTTP to ask our own services.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// The admin API waits for Kafka for up to a minute.
const LONG: Duration = Duration::from_secs(90);

/// Status and body of `GET target`.
pub(crate) fn get(port: u16, target: &str) -> io::Result<(u16, String)> {
    get_with(port, target, &[])
}

/// The same, with headers.
pub(crate) fn get_with(port: u16, target: &str, headers: &[(&str, &str)]) -> io::Result<(u16, String)> {
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    answered(&exchange((port, PATIENCE), &format!("GET {target} HTTP/1.0"), headers, b"")?)
}

/// Head and body of the answer to `POST target`.
pub(crate) fn post(
    port: u16,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    let answer =
        exchange((port, PATIENCE), &format!("POST {target} HTTP/1.1\r\nConnection: close"), headers, body)?;
    let (status, _) = answered(&answer)?;
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}

/// Status and body of the answer to a request of any method.
pub(crate) fn ask(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    answered(&exchange((port, LONG), &format!("{method} {target} HTTP/1.0"), headers, body)?)
}

/// What is answered to a request that begins with `head`, until the connection ends.
fn exchange(
    (port, patience): (u16, Duration),
    head: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Vec<u8>> {
    let mut stream = connect(port, patience)?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{head}\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let sent = stream.write_all(&[head.as_bytes(), body].concat());
    whole_answer(&mut stream, sent)
}

/// A refusal may come before all is sent; it is read all the same.
fn whole_answer(stream: &mut TcpStream, sent: io::Result<()>) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    match (stream.read_to_end(&mut answer), sent) {
        (Err(error), _) | (_, Err(error)) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

fn connect(port: u16, patience: Duration) -> io::Result<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// Status and body of the answer to `PUT target` with `chunks`, each sent as one.
pub(crate) fn put(port: u16, target: &str, chunks: &[&[u8]]) -> io::Result<(u16, String)> {
    let mut stream = connect(port, PATIENCE)?;
    let head = "Host: gateway\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    write!(stream, "PUT {target} HTTP/1.1\r\n{head}")?;
    let mut send = || {
        for chunk in chunks {
            let size = format!("{:x}\r\n", chunk.len());
            stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat())?;
        }
        stream.write_all(b"0\r\n\r\n")
    };
    let sent = send();
    answered(&whole_answer(&mut stream, sent)?)
}

/// Status and body of an answer.
pub(crate) fn answered(answer: &[u8]) -> io::Result<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other("no status"))?, body.to_owned()))
}

/// `text` as part of a query string.
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
