//! `docs/reading.md` is true: every block on it is run against what a pipeline has
//! written, and compared with what the oracle says of the same messages.

mod follow;
mod moment;
mod shop;
mod sqlite;
mod written;

use end_to_end::page::Page;
use std::collections::BTreeSet;

/// The page.
fn page() -> Page {
    Page::read("reading.md")
}

/// What a document shows, as one text: to be compared, and to be read when it is
/// not the same.
fn shown<T: std::fmt::Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

#[test]
fn nothing_on_it_is_untested() {
    let tested = [
        &written::BLOCKS.map(|(name, _)| name)[..],
        &sqlite::BLOCKS.map(|(name, _)| name),
        &follow::BLOCKS,
        &moment::BLOCKS,
    ];
    let tested: BTreeSet<_> = tested.into_iter().flatten().copied().collect();
    let blocks = page().blocks();
    let names: Vec<_> = blocks.iter().map(|block| block.name.as_str()).collect();
    let on_page: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(on_page.len(), names.len(), "two of one name: {names:?}");
    assert_eq!(on_page, tested);
    // A shell that is fed line by line takes such a line for a command of its own.
    let lines = blocks.iter().flat_map(|block| block.text.lines());
    let dotted: Vec<_> = lines
        .filter(|line| line.trim_start().starts_with('.'))
        .collect();
    assert!(dotted.is_empty(), "{dotted:?}");
}
