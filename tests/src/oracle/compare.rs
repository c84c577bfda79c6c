//! The documents of a view against the rows it must have: field by field, in
//! their order, type by type; none missing, none too many, none twice.

use super::has_epoch;
use super::rows::{Field, Key, Rows};
use super::views::View;
use mongodb::bson::{Bson, DateTime, Document};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What differs, the first few of it.
#[derive(Debug, Default)]
pub struct Differences {
    what: String,
    lines: Vec<String>,
}

impl Differences {
    /// None so far, of `what`.
    pub fn of(what: &str) -> Differences {
        Differences {
            what: what.to_owned(),
            lines: Vec::new(),
        }
    }

    /// One more.
    pub fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    /// # Errors
    /// When there are any.
    pub fn verdict(self) -> Result<(), String> {
        if self.lines.is_empty() {
            Ok(())
        } else {
            Err(self.to_string())
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        writeln!(formatter, "{}: {} differences", self.what, self.lines.len())?;
        for line in self.lines.iter().take(SHOWN) {
            writeln!(formatter, "  {line}")?;
        }
        match self.lines.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(formatter, "  … and {more} more"),
        }
    }
}

/// Compares all documents of a view's collection with its rows.
///
/// # Errors
/// With what differs.
pub fn compare_view(view: &View, rows: &Rows, documents: &[Document]) -> Result<(), String> {
    let mut differences = Differences::of(view.name);
    let mut found: BTreeMap<Key, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for document in documents {
        for complaint in bookkeeping(document) {
            differences.add(format!("{complaint} in {document}"));
        }
        ids.insert(document.get("_id").map(ToString::to_string));
        let Some(key) = key(view, document) else {
            differences.add(format!("no window or group in {document}"));
            continue;
        };
        *found.entry(key.clone()).or_default() += 1;
        let Some(row) = rows.get(&key) else {
            differences.add(format!("no such row: {document}"));
            continue;
        };
        let is_final = document.get("final");
        if is_final != Some(&Bson::Boolean(row.is_final)) {
            let wanted = row.is_final;
            differences.add(format!(
                "final is {is_final:?}, expected {wanted}: {document}"
            ));
        }
        let (wanted, had) = (body(&row.fields), contents(document));
        if wanted != had {
            differences.add(format!("expected {wanted:?}\n         found {had:?}"));
        }
    }
    if ids.len() < documents.len() {
        differences.add(format!(
            "{} ids for {} documents",
            ids.len(),
            documents.len()
        ));
    }
    for (key, count) in found.iter().filter(|(_, count)| **count > 1) {
        differences.add(format!("{count} documents for {key:?}"));
    }
    for key in rows.keys().filter(|key| !found.contains_key(key)) {
        differences.add(format!("missing: {key:?}"));
    }
    differences.verdict()
}

/// The fields that every document has besides its view's.
const BOOKKEEPING: [&str; 4] = ["_id", "final", "epoch", "updated_at"];

fn bookkeeping(document: &Document) -> Vec<&'static str> {
    let mut complaints = Vec::new();
    if !matches!(document.get("_id"), Some(Bson::String(_))) {
        complaints.push("_id is no string");
    }
    if !has_epoch(document) {
        complaints.push("epoch is no long");
    }
    if !matches!(document.get("updated_at"), Some(Bson::DateTime(_))) {
        complaints.push("updated_at is no date");
    }
    complaints
}

/// What the view itself wrote, in the order it stands there.
fn contents(document: &Document) -> Vec<(&str, Bson)> {
    let fields = document
        .iter()
        .filter(|(name, _)| !BOOKKEEPING.contains(&name.as_str()));
    fields
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

/// A row as a document has it.
pub(super) fn body<'a>(row: &[(&'a str, Field)]) -> Vec<(&'a str, Bson)> {
    let mut fields: Vec<(&str, Bson)> = Vec::new();
    for (name, value) in row {
        let value = bson(value);
        match name.split_once('.') {
            None => fields.push((name, value)),
            Some((outer, inner)) => match fields.last_mut() {
                Some((last, Bson::Document(nested))) if *last == outer => {
                    nested.insert(inner, value);
                }
                _ => {
                    let mut nested = Document::new();
                    nested.insert(inner, value);
                    fields.push((outer, Bson::Document(nested)));
                }
            },
        }
    }
    fields
}

fn bson(field: &Field) -> Bson {
    match field {
        Field::Long(value) => Bson::Int64(*value),
        Field::Double(value) => Bson::Double(*value),
        Field::Text(value) => Bson::String(value.clone()),
        Field::Date(millis) => Bson::DateTime(DateTime::from_millis(*millis)),
        // With more digits than a decimal128 has, it is equal to none.
        Field::Decimal(text) => text
            .parse()
            .map_or_else(|_| Bson::String(text.clone()), Bson::Decimal128),
    }
}

fn key(view: &View, document: &Document) -> Option<Key> {
    let start = match view.window[0].split_once('.') {
        Some((outer, inner)) => document.get_document(outer).ok()?.get_datetime(inner),
        None => document.get_datetime(view.window[0]),
    };
    let group = view
        .groups
        .iter()
        .map(|name| document.get_str(name).ok().map(ToOwned::to_owned));
    Some((
        start.ok()?.timestamp_millis(),
        group.collect::<Option<_>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::rows::Row;
    use super::super::views::view;
    use super::*;
    use mongodb::bson::doc;

    fn date(millis: i64) -> Bson {
        Bson::DateTime(DateTime::from_millis(millis))
    }

    fn rows() -> Rows {
        let fields = vec![
            ("window.start", Field::Date(0)),
            ("window.end", Field::Date(86_400_000)),
            ("gender", Field::Text("Other".to_owned())),
            ("total_customers", Field::Long(2)),
            ("unique_customers", Field::Long(1)),
            ("last_activity", Field::Date(5)),
        ];
        let is_final = false;
        Rows::from([((0, vec!["Other".to_owned()]), Row { fields, is_final })])
    }

    fn document() -> Document {
        doc! {
            "_id": "x",
            "window": { "start": date(0), "end": date(86_400_000) },
            "gender": "Other",
            "total_customers": 2i64,
            "unique_customers": 1i64,
            "last_activity": date(5),
            "final": false,
            "epoch": 3i64,
            "updated_at": date(9),
        }
    }

    fn verdict(documents: &[Document]) -> String {
        compare_view(view("customer_analysis"), &rows(), documents)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn equal() {
        assert_eq!(verdict(&[document()]), "");
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let changed = |name: &str, value: Bson| {
            let mut document = document();
            document.insert(name, value);
            verdict(&[document])
        };
        assert!(changed("total_customers", Bson::Int64(3)).contains("expected"));
        assert!(
            changed("total_customers", Bson::Int32(2)).contains("expected"),
            "an int is no long"
        );
        assert!(changed("total_customers", Bson::Double(2.0)).contains("expected"));
        assert!(
            changed("more", Bson::Null).contains("expected"),
            "one field too many"
        );
        assert!(changed("gender", Bson::from("Male")).contains("no such row"));
        assert!(changed("gender", Bson::Null).contains("no window or group"));
        assert!(changed("final", Bson::Boolean(true)).contains("expected false"));
        assert!(changed("final", Bson::Int32(0)).contains("expected false"));
        assert!(changed("epoch", Bson::Int32(3)).contains("epoch is no long"));
        assert!(changed("updated_at", Bson::Null).contains("updated_at is no date"));
        assert!(changed("_id", Bson::Int32(3)).contains("_id is no string"));
    }

    #[test]
    fn a_final_row_must_say_so() {
        let mut rows = rows();
        rows.values_mut().for_each(|row| row.is_final = true);
        let verdict = |document| compare_view(view("customer_analysis"), &rows, &[document]).err();
        let complaint = verdict(document()).expect("a complaint");
        assert!(complaint.contains("expected true"), "{complaint}");
        let mut document = document();
        document.insert("final", true);
        assert_eq!(verdict(document), None);
    }

    #[test]
    fn decimals_are_compared_with_their_zeros() {
        let amount = |text: &str| bson(&Field::Decimal(text.to_owned()));
        let decimal = |text: &str| Bson::Decimal128(text.parse().expect("a decimal"));
        assert_eq!(amount("12.50"), decimal("12.50"));
        assert_ne!(amount("12.50"), decimal("12.5"));
        assert_ne!(amount("12.50"), decimal("12.500"));
        assert_ne!(amount("12.50"), decimal("12.51"));
        assert_ne!(amount("12.50"), Bson::Double(12.5));
        let most = "1234567890123456789012345678901234";
        assert_eq!(amount(most), decimal(most));
        let more = format!("{most}.5");
        assert_eq!(amount(&more), Bson::String(more));
    }

    #[test]
    fn order_matters() {
        let mut reordered = document();
        let total = reordered.remove("total_customers").expect("a total");
        reordered.insert("total_customers", total);
        assert!(verdict(&[reordered]).contains("expected"));
    }

    #[test]
    fn missing_and_double() {
        assert!(verdict(&[]).contains("missing: (0, [\"Other\"])"));
        let doubled = verdict(&[document(), document()]);
        assert!(doubled.contains("2 documents for"), "{doubled}");
        assert!(doubled.contains("1 ids for 2 documents"), "{doubled}");
    }
}
