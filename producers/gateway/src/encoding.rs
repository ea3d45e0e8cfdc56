//! Content-Encoding: bodies are unpacked up to a bound, so that a small body cannot become a large one.

use std::borrow::Cow;
use std::io::{self, Read};

/// Why a body could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Not one that is known.
    #[error("content encoding {0:?} is not known; send gzip, zstd, deflate, snappy or identity")]
    Unknown(String),
    /// Unpacked it would be larger than allowed.
    #[error("the body has more than {most} bytes once unpacked; send smaller requests")]
    TooLarge {
        /// Bound.
        most: usize,
    },
    /// Damaged, cut, or of another encoding than it says.
    #[error("the body is not valid {encoding}: {reason}")]
    Damaged {
        /// Encoding that it claims.
        encoding: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// First bytes of snappy's framing format; the block format has none.
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Undoes `encoding` (the header's value, several with commas, applied last first). Not more than `most` bytes.
///
/// # Errors
/// [`EncodingError`].
pub fn decode<'a>(encoding: &str, body: &'a [u8], most: usize) -> Result<Cow<'a, [u8]>, EncodingError> {
    let mut body = Cow::Borrowed(body);
    let names: Vec<&str> = encoding.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > 3 {
        return Err(EncodingError::Unknown(encoding.chars().take(64).collect()));
    }
    for name in names.into_iter().rev() {
        let unpacked = match name.to_ascii_lowercase().as_str() {
            "identity" => continue,
            "gzip" | "x-gzip" => all("gzip", flate2::read::MultiGzDecoder::new(&*body), most)?,
            "deflate" | "zlib" => deflated(&body, most)?,
            "zstd" => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&*body);
                all("zstd", decoder.map_err(|error| damaged("zstd", &error))?, most)?
            }
            "snappy" | "x-snappy-framed" if body.starts_with(SNAPPY_FRAMES) => {
                all("snappy", snap::read::FrameDecoder::new(&*body), most)?
            }
            "snappy" => snappy_block(&body, most)?,
            _ => return Err(EncodingError::Unknown(name.chars().take(64).collect())),
        };
        body = Cow::Owned(unpacked);
    }
    if body.len() > most { Err(EncodingError::TooLarge { most }) } else { Ok(body) }
}

/// One block of snappy.
///
/// # Errors
/// Damaged, or too large once unpacked.
pub fn snappy_block(body: &[u8], most: usize) -> Result<Vec<u8>, EncodingError> {
    let fail = |error: snap::Error| EncodingError::Damaged { encoding: "snappy", reason: error.to_string() };
    // The length stands in front: it is checked before anything is made room for. A block cannot grow more than 64-fold
    // for each of its bytes, so a length that is a lie costs no memory either.
    let length = snap::raw::decompress_len(body).map_err(fail)?;
    if length > most {
        return Err(EncodingError::TooLarge { most });
    }
    if length / 64 > body.len() {
        let reason = format!("{} bytes cannot become {length}", body.len());
        return Err(EncodingError::Damaged { encoding: "snappy", reason });
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(fail)
}

/// One stream of deflate, which tells by itself where it ends: what stands behind that would be lost unsaid.
fn deflated(body: &[u8], most: usize) -> Result<Vec<u8>, EncodingError> {
    let mut rest = body;
    let unpacked = match zlib(body) {
        true => all("deflate", flate2::bufread::ZlibDecoder::new(&mut rest), most)?,
        false => all("deflate", flate2::bufread::DeflateDecoder::new(&mut rest), most)?,
    };
    if rest.is_empty() {
        return Ok(unpacked);
    }
    let reason = format!("{} bytes stand behind its end", rest.len());
    Err(EncodingError::Damaged { encoding: "deflate", reason })
}

/// Whether `body` begins with zlib's header; some send deflate without it.
fn zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flags, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) * 256 + u16::from(*flags)) % 31 == 0)
}

fn all(encoding: &'static str, decoder: impl Read, most: usize) -> Result<Vec<u8>, EncodingError> {
    let mut unpacked = Vec::new();
    let read = decoder.take(most as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| damaged(encoding, &error))?;
    if unpacked.len() > most { Err(EncodingError::TooLarge { most }) } else { Ok(unpacked) }
}

fn damaged(encoding: &'static str, error: &io::Error) -> EncodingError {
    EncodingError::Damaged { encoding, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(body).unwrap();
        writer.finish().unwrap()
    }

    fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
        match encoding {
            "gzip" => gzip(body),
            "zstd" => zstd::encode_all(body, 1).unwrap(),
            "deflate" => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            "raw" => {
                let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            "frames" => {
                let mut writer = snap::write::FrameEncoder::new(Vec::new());
                writer.write_all(body).unwrap();
                writer.into_inner().unwrap()
            }
            _ => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        }
    }

    const PAIRS: [(&str, &str); 7] = [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("deflate", "deflate"),
        ("deflate", "raw"),
        ("zlib", "deflate"),
        ("snappy", "frames"),
        ("snappy", "block"),
    ];

    #[test]
    fn every_encoding_is_undone_and_bounded() {
        let body = b"a line of a log\n".repeat(1_000);
        for (name, kind) in PAIRS {
            let small = packed(kind, &body);
            assert_eq!(decode(name, &small, body.len()).unwrap(), body, "{kind}");
            let most = body.len() - 1;
            assert_eq!(decode(name, &small, most), Err(EncodingError::TooLarge { most }), "{kind}");
            let cut = decode(name, &small[..small.len() / 2], body.len());
            assert!(matches!(cut, Err(EncodingError::Damaged { .. })), "{kind}: {cut:?}");
        }
        assert_eq!(decode("", &body, body.len()).unwrap(), body);
        assert!(matches!(decode("br", &body, 9), Err(EncodingError::Unknown(_))));
    }

    #[test]
    fn what_stands_behind_a_packed_body_is_taken_or_refused() {
        for (name, kind) in PAIRS {
            let one = packed(kind, b"a line\n");
            let [twice, stray] = [&one[..], b"stray"].map(|behind| [&one[..], behind].concat());
            let twice = decode(name, &twice, 100);
            match kind {
                "gzip" | "zstd" | "frames" => assert_eq!(*twice.unwrap(), *b"a line\na line\n", "{kind}"),
                _ => assert!(matches!(twice, Err(EncodingError::Damaged { .. })), "{kind}: {twice:?}"),
            }
            let stray = decode(name, &stray, 100);
            assert!(matches!(stray, Err(EncodingError::Damaged { .. })), "{kind}: {stray:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_without_being_unpacked() {
        let bomb = gzip(&gzip(&vec![0; 64 << 20]));
        assert!(bomb.len() < 1_000, "{}", bomb.len());
        assert_eq!(decode("gzip, gzip", &bomb, 1 << 20), Err(EncodingError::TooLarge { most: 1 << 20 }));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_unpacked_or_refused(body: Vec<u8>) {
            for name in ["gzip", "zstd", "deflate", "snappy", "gzip, zstd"] {
                if let Ok(unpacked) = decode(name, &body, 1_000) {
                    proptest::prop_assert!(unpacked.len() <= 1_000);
                }
            }
        }
    }
}
