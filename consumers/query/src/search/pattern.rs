//! Words with wildcards: `*` is any run of characters, `?` any one; a backslash makes either stand for itself.

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any run of characters, also none.
    Any,
}

/// A word as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern(pub Vec<Piece>);

impl Pattern {
    /// A pattern that matches `text` alone.
    pub fn literal(text: &str) -> Pattern {
        Pattern(text.chars().map(Piece::Char).collect())
    }

    /// The text, if there are no wildcards.
    pub fn as_literal(&self) -> Option<String> {
        self.0.iter().map(|piece| if let Piece::Char(char) = piece { Some(*char) } else { None }).collect()
    }

    /// Whether it is `*` alone.
    pub fn is_any(&self) -> bool {
        self.0 == [Piece::Any]
    }

    /// What every match begins with.
    pub fn prefix(&self) -> String {
        self.0
            .iter()
            .map_while(|piece| if let Piece::Char(char) = piece { Some(*char) } else { None })
            .collect()
    }

    /// Whether it is its prefix and then `*`.
    pub fn is_prefix(&self) -> bool {
        let wild = self.0.iter().position(|piece| !matches!(piece, Piece::Char(_)));
        wild.is_some_and(|at| self.0[at..] == [Piece::Any])
    }

    /// The pattern in lower case.
    pub fn to_lowercase(&self) -> Pattern {
        let lower = |piece: &Piece| match piece {
            Piece::Char(char) => char.to_lowercase().map(Piece::Char).collect(),
            wild => vec![*wild],
        };
        Pattern(self.0.iter().flat_map(lower).collect())
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut piece) = (0, 0);
        // Where to go on if the last `*` has to take one character more.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    retry = Some((at, piece + 1));
                    piece += 1;
                    continue;
                }
                Some(Piece::One) => {
                    at += 1;
                    piece += 1;
                    continue;
                }
                Some(Piece::Char(char)) if *char == text[at] => {
                    at += 1;
                    piece += 1;
                    continue;
                }
                Some(Piece::Char(_)) | None => {}
            }
            let Some((from, behind)) = retry else { return false };
            retry = Some((from + 1, behind));
            (at, piece) = (from + 1, behind);
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}
