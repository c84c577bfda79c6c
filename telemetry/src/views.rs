//! What the views are, told to people and over HTTP.

use std::io::{self, Write};

use sinks::{Column, Role};

/// What there is to know of a view, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewInfo {
    /// Its name, which is that of its collection.
    pub name: String,
    /// What it says, as a sentence.
    pub about: String,
    /// The version of its code.
    pub version: u32,
    /// The topic it is computed from, or the topics that are joined.
    pub topic: String,
    /// Length of a window, such as `1h`.
    pub window: String,
    /// The time that decides the window: a field of the event, or `kafka`.
    pub time: String,
    /// How late an event may be, such as `2h`, or `forever`.
    pub lateness: String,
    /// The columns of its table, in the table's order.
    pub columns: Vec<Column>,
    /// Whether its rows are indexed by group as well as by window.
    pub group_index: bool,
}

impl ViewInfo {
    /// The columns it groups by.
    pub fn groups(&self) -> impl Iterator<Item = &Column> {
        let columns = self.columns.iter();
        columns.filter(|column| column.role == Role::Group)
    }

    /// The columns of each of its indexes, besides the one on `_id`.
    pub fn indexes(&self) -> Vec<Vec<&str>> {
        let of_role = |role| {
            let columns = self.columns.iter();
            let columns = columns.filter(move |column| column.role == role);
            columns.map(|column| column.name.as_str())
        };
        let window = || of_role(Role::WindowStart);
        let mut indexes = vec![window().collect()];
        indexes.retain(|index: &Vec<_>| !index.is_empty());
        if self.group_index {
            indexes.push(of_role(Role::Group).chain(window()).collect());
        }
        indexes
    }
}

/// Prints each view: what it says, its source, window, time, lateness, key, indexes
/// and fields with their BSON types.
///
/// # Errors
///
/// Those of `out`.
pub fn print_views(views: &[ViewInfo], out: &mut impl Write) -> io::Result<()> {
    for view in views {
        // Destructured, so that nothing there is to know is left out.
        let ViewInfo {
            name,
            about,
            version,
            topic,
            window,
            time,
            lateness,
            columns,
            group_index: _,
        } = view;
        let key: Vec<&str> = view.groups().map(|column| column.name.as_str()).collect();
        writeln!(out, "{name}")?;
        writeln!(out, "  {about}")?;
        if *version > 1 {
            writeln!(out, "  version   {version}")?;
        }
        writeln!(out, "  source    {topic}")?;
        writeln!(out, "  window    {window}")?;
        writeln!(out, "  time      {time}")?;
        writeln!(out, "  lateness  {lateness}")?;
        writeln!(out, "  key       {}", key.join(", "))?;
        let indexes = view.indexes();
        let indexes: Vec<String> = indexes.iter().map(|index| index.join(", ")).collect();
        writeln!(out, "  index     {}", indexes.join("; "))?;
        let width = columns.iter().map(|column| column.name.len());
        let width = width.max().unwrap_or(0);
        for (number, column) in columns.iter().enumerate() {
            let title = if number == 0 { "fields" } else { "" };
            let kind = column.kind.as_str();
            writeln!(out, "  {title:8}  {:width$}  {kind}", column.name)?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "Every document also has: _id string, final bool, epoch long, updated_at date."
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn a_view_is_printed_whole() {
        let mut out = Vec::new();
        print_views(&[testing::view()], &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "sales
  Sales of each product, by hour
  source    transactions
  window    1h
  time      kafka
  lateness  2h
  key       product
  index     window.start
  fields    window.start  date
            window.end    date
            product       string
            total         long

Every document also has: _id string, final bool, epoch long, updated_at date.
"
        );
    }
}
