//! Plain tables: columns as wide as their widest cell, two spaces between, numbers to the right.

use std::io::{self, Write};

/// Writes `rows` under `header`, each row as long as the header.
///
/// # Errors
/// What `out` says.
pub fn write_table(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let chars = |cell: &str| cell.chars().count();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| chars(cell));
        cells.max().unwrap_or(0).max(header.get(column).map_or(0, |name| chars(name)))
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let right: Vec<bool> = (0..header.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).all(|cell| cell.parse::<f64>().is_ok()))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for ((cell, width), right) in cells.zip(&widths).zip(&right) {
            let gap = " ".repeat(width - chars(cell));
            let padded = if *right { format!("{gap}{cell}") } else { format!("{cell}{gap}") };
            text.push_str(&padded);
            text.push_str("  ");
        }
        text.trim_end().to_owned()
    };
    writeln!(out, "{}", line(&mut header.iter().copied()))?;
    for row in rows {
        writeln!(out, "{}", line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_table;

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "-20".to_owned()]];
        write_table(&mut out, &["name", "n"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name    n\na       1\nlong  -20\n");
    }
}
