//! S-expressions, one top-level form at a time, as a flat list: no recursion, so no input is too deep.
//!
//! A form lies in prefix order: a list, then its children, each followed by its own. Read backwards, every
//! child is met before its list, which is how formulas are evaluated with one stack.

use super::error::{Position, Problem, PropertyError};

/// Cap on the lists and atoms of one form.
const ITEMS_MAX: usize = 1 << 25;

/// A list or an atom of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// `( … )`.
    List {
        /// How many direct children follow.
        children: usize,
        /// Line of its opening parenthesis, from 1.
        line: usize,
        /// Byte of its line, from 1.
        column: usize,
    },
    /// A word with the bracket that follows it, such as `X_0` or `X[0,1]`, or a quoted text with its quotes.
    Atom {
        /// The word.
        text: &'a str,
        /// Its line, from 1.
        line: usize,
        /// Byte of its line, from 1.
        column: usize,
    },
}

impl<'a> Item<'a> {
    /// Its line and byte, from 1.
    pub fn position(&self) -> Position {
        match *self {
            Item::List { line, column, .. } | Item::Atom { line, column, .. } => Position { line, column },
        }
    }

    /// The word, if it is an atom.
    pub fn atom(&self) -> Option<&'a str> {
        match self {
            Item::Atom { text, .. } => Some(text),
            Item::List { .. } => None,
        }
    }
}

/// Reads forms from a text.
pub struct Reader<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    line: usize,
    /// Where the current line begins.
    line_start: usize,
    items: Vec<Item<'a>>,
}

enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, line_start: 0, items: Vec::new() }
    }

    /// The next top-level form, a list or a single word; `None` at the end.
    ///
    /// # Errors
    /// [`Problem::Parenthesis`] if parentheses do not match, [`Problem::Quote`] for a quote that is not
    /// closed, [`Problem::FormTooLarge`].
    pub fn next_form(&mut self) -> Result<Option<&[Item<'a>]>, PropertyError> {
        self.items.clear();
        // Open lists: indices into `items`.
        let mut open: Vec<usize> = Vec::new();
        loop {
            let Some((token, Position { line, column })) = self.next_token()? else {
                return match open.last() {
                    Some(&list) => Err(PropertyError::at(
                        self.items[list].position(),
                        Problem::Parenthesis("is not closed"),
                    )),
                    None => Ok(None),
                };
            };
            if self.items.len() >= ITEMS_MAX {
                let at = Position { line, column };
                return Err(PropertyError::at(at, Problem::FormTooLarge { limit: ITEMS_MAX }));
            }
            if !matches!(token, Token::Close)
                && let Some(&list) = open.last()
                && let Item::List { children, .. } = &mut self.items[list]
            {
                *children += 1;
            }
            match token {
                Token::Open => {
                    open.push(self.items.len());
                    self.items.push(Item::List { children: 0, line, column });
                }
                Token::Word(text) => self.items.push(Item::Atom { text, line, column }),
                Token::Close if open.pop().is_none() => {
                    let at = Position { line, column };
                    return Err(PropertyError::at(at, Problem::Parenthesis("closes nothing")));
                }
                Token::Close => {}
            }
            if open.is_empty() {
                return Ok(Some(&self.items));
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next_token(&mut self) -> Result<Option<(Token<'a>, Position)>, PropertyError> {
        self.skip_blanks();
        let position = Position { line: self.line, column: self.at - self.line_start + 1 };
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let length = match first {
            '(' | ')' => 1,
            '"' => quoted(rest).ok_or_else(|| PropertyError::at(position, Problem::Quote))?,
            '|' => rest[1..].find('|').ok_or_else(|| PropertyError::at(position, Problem::Quote))? + 2,
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';' | '"' | '|' | '[');
                let word = rest.find(ends).unwrap_or(rest.len());
                word + bracket(&rest[word..]).ok_or_else(|| PropertyError::at(position, Problem::Bracket))?
            }
        };
        let word = &rest[..length];
        self.advance(length);
        let token = match word {
            "(" => Token::Open,
            ")" => Token::Close,
            _ => Token::Word(word),
        };
        Ok(Some((token, position)))
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.rest()[..length];
        if let Some(last) = passed.rfind('\n') {
            self.line += passed.bytes().filter(|b| *b == b'\n').count();
            self.line_start = self.at + last + 1;
        }
        self.at += length;
    }

    /// Skips white space and comments (`;` to the end of the line).
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            self.advance(rest.len() - rest.trim_start().len());
            let rest = self.rest();
            if !rest.starts_with(';') {
                return;
            }
            self.advance(rest.find('\n').unwrap_or(rest.len()));
        }
    }
}

/// Bytes of the quoted text at the beginning of `rest`; a backslash takes the next character along.
fn quoted(rest: &str) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().skip(1).find_map(|(i, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(i + 1)
    })
}

/// Bytes of blanks and `[…]` at the beginning of `rest`; 0 if no bracket opens, `None` if it is not closed.
fn bracket(rest: &str) -> Option<usize> {
    if !rest.trim_start().starts_with('[') {
        return Some(0);
    }
    let end = rest.find([']', '(', ')', ';'])?;
    rest[end..].starts_with(']').then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> Result<Vec<Vec<String>>, String> {
        let mut reader = Reader::new(text);
        let mut all = Vec::new();
        while let Some(form) = reader.next_form().map_err(|e| e.to_string())? {
            let shown = form.iter().map(|i| match i {
                Item::List { children, line, .. } => format!("{line}:({children}"),
                Item::Atom { text, line, .. } => format!("{line}:{text}"),
            });
            all.push(shown.collect());
        }
        Ok(all)
    }

    #[test]
    fn forms_lie_in_prefix_order_with_their_lines() {
        let found = forms("; c\n(a (b 1)\n ())(c|x y|);end").unwrap();
        assert_eq!(found[0], ["2:(3", "2:a", "2:(2", "2:b", "2:1", "3:(0"]);
        assert_eq!(found[1], ["3:(2", "3:c", "3:|x y|"]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_bracket_belongs_to_the_word_before_it_and_columns_count_from_one() {
        let text = "(a X[0,1]\n  Y [ 2 ]\"q \\\" q\")";
        assert_eq!(forms(text).unwrap()[0], ["1:(4", "1:a", "1:X[0,1]", "2:Y [ 2 ]", "2:\"q \\\" q\""]);
        let mut reader = Reader::new(text);
        let found: Vec<_> = reader
            .next_form()
            .unwrap()
            .unwrap()
            .iter()
            .map(|i| (i.position().line, i.position().column))
            .collect();
        assert_eq!(found, [(1, 1), (1, 2), (1, 4), (2, 3), (2, 10)]);
        assert!(forms("(X [0 (b))").unwrap_err().contains("bracket"));
    }

    #[test]
    fn parentheses_and_quotes_must_match() {
        assert_eq!(forms("(a\n(b)").unwrap_err(), "line 1, column 1: parenthesis is not closed");
        assert_eq!(forms("(a)\n)").unwrap_err(), "line 2, column 1: parenthesis closes nothing");
        assert!(forms("(a \"b)").unwrap_err().starts_with("line 1, column 4: quote"));
    }

    #[test]
    fn a_million_levels_are_read() {
        let text = "(".repeat(1_000_000) + &")".repeat(1_000_000);
        assert_eq!(forms(&text).unwrap()[0].len(), 1_000_000);
    }
}
