//! S-expressions, one top-level form at a time, as a flat list: no recursion, so no input is too deep.
//!
//! A form lies in prefix order: a list, then its children, each followed by its own. Read backwards, every
//! child is met before its list, which is how formulas are evaluated with one stack.

use super::error::{Problem, PropertyError};

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
    },
    /// A word, or a quoted text with its quotes.
    Atom {
        /// The word.
        text: &'a str,
        /// Its line, from 1.
        line: usize,
    },
}

impl<'a> Item<'a> {
    /// Its line, from 1.
    pub fn line(&self) -> usize {
        match self {
            Item::List { line, .. } | Item::Atom { line, .. } => *line,
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
    rest: &'a str,
    line: usize,
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
        Self { rest: text, line: 1, items: Vec::new() }
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
            let Some((token, line)) = self.next_token()? else {
                return match open.last() {
                    Some(&list) => {
                        Err(PropertyError::at(self.items[list].line(), Problem::Parenthesis("is not closed")))
                    }
                    None => Ok(None),
                };
            };
            if self.items.len() >= ITEMS_MAX {
                return Err(PropertyError::at(line, Problem::FormTooLarge { limit: ITEMS_MAX }));
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
                    self.items.push(Item::List { children: 0, line });
                }
                Token::Word(text) => self.items.push(Item::Atom { text, line }),
                Token::Close if open.pop().is_none() => {
                    return Err(PropertyError::at(line, Problem::Parenthesis("closes nothing")));
                }
                Token::Close => {}
            }
            if open.is_empty() {
                return Ok(Some(&self.items));
            }
        }
    }

    fn next_token(&mut self) -> Result<Option<(Token<'a>, usize)>, PropertyError> {
        self.skip_blanks();
        let line = self.line;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let length = match first {
            '(' | ')' => 1,
            '"' | '|' => match self.rest[1..].find(first) {
                Some(end) => end + 2,
                None => return Err(PropertyError::at(line, Problem::Quote)),
            },
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';' | '"' | '|');
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += word.bytes().filter(|b| *b == b'\n').count();
        let token = match word {
            "(" => Token::Open,
            ")" => Token::Close,
            _ => Token::Word(word),
        };
        Ok(Some((token, line)))
    }

    /// Skips white space and comments (`;` to the end of the line).
    fn skip_blanks(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            let skipped = &self.rest[..self.rest.len() - trimmed.len()];
            self.line += skipped.bytes().filter(|b| *b == b'\n').count();
            self.rest = trimmed;
            if !trimmed.starts_with(';') {
                return;
            }
            self.rest = &trimmed[trimmed.find('\n').unwrap_or(trimmed.len())..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> Result<Vec<Vec<String>>, String> {
        let mut reader = Reader::new(text);
        let mut all = Vec::new();
        while let Some(form) = reader.next_form().map_err(|e| e.to_string())? {
            let shown = form.iter().map(|i| match i {
                Item::List { children, line } => format!("{line}:({children}"),
                Item::Atom { text, line } => format!("{line}:{text}"),
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
    fn parentheses_and_quotes_must_match() {
        assert_eq!(forms("(a\n(b)").unwrap_err(), "line 1: parenthesis is not closed");
        assert_eq!(forms("(a)\n)").unwrap_err(), "line 2: parenthesis closes nothing");
        assert!(forms("(a \"b)").unwrap_err().starts_with("line 1: quote"));
    }

    #[test]
    fn a_million_levels_are_read() {
        let text = "(".repeat(1_000_000) + &")".repeat(1_000_000);
        assert_eq!(forms(&text).unwrap()[0].len(), 1_000_000);
    }
}
