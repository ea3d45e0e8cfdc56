//! Just enough HTTP to ask our own services.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Status and body of `GET target`.
pub(crate) fn get(port: u16, target: &str) -> io::Result<(u16, String)> {
    get_with(port, target, &[])
}

/// The same, with headers.
pub(crate) fn get_with(port: u16, target: &str, headers: &[(&str, &str)]) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {target} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    answered(&answer)
}

/// Head and body of the answer to `POST target`.
pub(crate) fn post(
    port: u16,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other("no status"))?, answer))
}

/// Status and body of the answer to a request of any method.
pub(crate) fn ask(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(90)))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.0\r\nHost: gateway\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    answered(&answer)
}

/// Status and body of the answer to `PUT target` with `chunks`, each sent as one.
pub(crate) fn put(port: u16, target: &str, chunks: &[&[u8]]) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let head = "Host: gateway\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    write!(stream, "PUT {target} HTTP/1.1\r\n{head}")?;
    let mut send = || {
        for chunk in chunks {
            let size = format!("{:x}\r\n", chunk.len());
            stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat())?;
        }
        stream.write_all(b"0\r\n\r\n")
    };
    // A refusal may come before all is sent; it is read all the same.
    let sent = send();
    let mut answer = Vec::new();
    match (stream.read_to_end(&mut answer), sent) {
        (Err(error), _) | (_, Err(error)) if answer.is_empty() => Err(error),
        _ => answered(&answer),
    }
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
