//! A page of the documentation, for tests that show it to be true.
//!
//! What a page shows as code or as a table is what a test runs and compares, read
//! out of the page itself, so that neither can drift from the other.

use crate::services::workspace;

/// A page of the documentation.
#[derive(Debug, Clone)]
pub struct Page {
    name: String,
    text: String,
}

/// A fenced block of code: three backticks, a language, and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its language; empty where none is named.
    pub language: String,
    /// The word after the language; empty where there is none.
    pub name: String,
    /// What stands between the fences.
    pub text: String,
}

impl Page {
    /// A file of the folder `docs`.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(name: &str) -> Page {
        let path = workspace().join("docs").join(name);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        Page::of(name, &text)
    }

    /// A page with this text.
    pub fn of(name: &str, text: &str) -> Page {
        Page {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// All blocks of code, in their order.
    ///
    /// # Panics
    /// When the last one has no end.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.trim_start().strip_prefix("```") else {
                continue;
            };
            let mut words = info.split_whitespace();
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (language, name) = (word(), word());
            let mut text = String::new();
            loop {
                let line = lines
                    .next()
                    .unwrap_or_else(|| panic!("{}: the block {info:?} has no end", self.name));
                if line.trim() == "```" {
                    break;
                }
                text += line;
                text.push('\n');
            }
            blocks.push(Block {
                language,
                name,
                text,
            });
        }
        blocks
    }

    /// The text of the block of this name.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub fn block(&self, name: &str) -> String {
        let mut found = self.blocks();
        found.retain(|block| block.name == name);
        match found.as_slice() {
            [block] => block.text.clone(),
            _ => panic!("{}: {} blocks are named {name:?}", self.name, found.len()),
        }
    }

    /// The rows of the table whose columns have these names, cell by cell, without
    /// what marks them as code or as strong.
    ///
    /// # Panics
    /// When there is no such table, or a row has another number of cells.
    pub fn table<const COLUMNS: usize>(&self, names: [&str; COLUMNS]) -> Vec<[String; COLUMNS]> {
        let mut lines = self.text.lines().map(cells);
        let mut header = || lines.find(|cells| cells.iter().map(String::as_str).eq(names));
        assert!(header().is_some(), "{}: no table {names:?}", self.name);
        let rows = lines.skip(1).take_while(|cells| !cells.is_empty());
        let row = |cells: Vec<String>| {
            let shown = format!("{}: {cells:?} in the table {names:?}", self.name);
            cells.try_into().unwrap_or_else(|_| panic!("{shown}"))
        };
        rows.map(row).collect()
    }
}

/// The cells of a line of a table; none if it is something else.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().strip_prefix('|');
    let Some(inner) = inner.and_then(|rest| rest.strip_suffix('|')) else {
        return Vec::new();
    };
    let plain = |cell: &str| cell.replace(['`', '*'], "").trim().to_owned();
    inner.split('|').map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n```js one\na\n  b\n```\n\n| x | y |\n| --- | --- |\n\
                        | `1` | **2** |\n|  | 4 |\n\ntext\n\n| z |\n| --- |\n\n   ```\nc\n   ```\n";

    #[test]
    fn blocks_have_a_language_and_a_name() {
        let page = Page::of("page", TEXT);
        let block = |language: &str, name: &str, text: &str| Block {
            language: language.to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            page.blocks(),
            [block("js", "one", "a\n  b\n"), block("", "", "c\n")]
        );
        assert_eq!(page.block("one"), "a\n  b\n");
    }

    #[test]
    #[should_panic(expected = "0 blocks are named")]
    fn a_block_that_is_not_there() {
        Page::of("page", TEXT).block("two");
    }

    #[test]
    fn tables_are_found_by_their_columns() {
        let page = Page::of("page", TEXT);
        assert_eq!(page.table(["x", "y"]), [["1", "2"], ["", "4"]]);
        assert_eq!(page.table(["z"]), [[""; 1]; 0]);
    }

    #[test]
    #[should_panic(expected = "no table")]
    fn a_table_that_is_not_there() {
        Page::of("page", TEXT).table(["x"]);
    }

    #[test]
    #[should_panic(expected = "in the table")]
    fn a_row_with_another_number_of_cells() {
        Page::of("page", "| x | y |\n| - | - |\n| 1 |\n").table(["x", "y"]);
    }
}
