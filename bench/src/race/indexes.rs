//! The indexes of Tidemark's collections, for all who write there.
//!
//! What is written is there to be looked up, by window. And where an index is large, to keep
//! it costs MongoDB as much as the documents: one who writes without would have another task.

use shop::catalog;
use sinks::Storage as _;
use std::collections::BTreeMap;
use std::error::Error;

/// Makes the collections of `database`, with their indexes. Its calls block.
///
/// # Errors
/// When MongoDB refuses.
pub fn create(uri: &str, database: &str) -> Result<(), Box<dyn Error>> {
    let definitions = catalog(&BTreeMap::new())?.definitions;
    let tables = definitions.iter().map(|view| view.table.clone()).collect();
    Ok(sinks::mongodb::open(uri, database, tables)?.prepare()?)
}
