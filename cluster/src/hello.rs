//! What a process says of itself, and what has to be the same everywhere.

use super::ClusterError;
use serde::{Deserialize, Serialize};

/// A process, as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Version of the program.
    pub(super) version: String,
    /// Its number.
    pub(super) process: usize,
    /// How many processes it expects.
    pub(super) processes: usize,
    /// Worker threads of each.
    pub(super) workers: usize,
    /// Drawn anew at each start, so that two of the same number are told apart.
    pub(super) incarnation: u64,
    /// Settings that must be the same everywhere, in an order that is the same too.
    pub(super) terms: Vec<(String, String)>,
}

/// Where there is no such setting.
const UNSET: &str = "(not set)";

impl Hello {
    /// Whether the two can work together. `address` is where the other one was met.
    ///
    /// # Errors
    /// The first setting in which `theirs` differs.
    pub(super) fn agrees(&self, theirs: &Hello, address: &str) -> Result<(), ClusterError> {
        match self.difference(theirs) {
            None => Ok(()),
            Some((setting, ours, value)) => Err(ClusterError::Different {
                process: theirs.process,
                address: address.to_owned(),
                setting,
                theirs: value,
                ours,
            }),
        }
    }

    /// The first setting that differs, our value of it, and theirs.
    fn difference(&self, theirs: &Hello) -> Option<(String, String, String)> {
        let (ours, theirs) = (self.all(), theirs.all());
        let value = |of: &[(String, String)], name: &str| {
            let found = of.iter().find(|(known, _)| known == name);
            found.map_or(UNSET.to_owned(), |(_, value)| value.clone())
        };
        let names = ours.iter().chain(&theirs).map(|(name, _)| name);
        names
            .map(|name| (name.clone(), value(&ours, name), value(&theirs, name)))
            .find(|(_, ours, theirs)| ours != theirs)
    }

    fn all(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("the version of tidemark".to_owned(), self.version.clone()),
            ("--processes".to_owned(), self.processes.to_string()),
            ("--workers".to_owned(), self.workers.to_string()),
        ];
        all.extend(self.terms.iter().cloned());
        all
    }

    #[cfg(test)]
    pub(super) fn example(process: usize) -> Hello {
        Hello {
            version: "1.0".to_owned(),
            process,
            processes: 3,
            workers: 2,
            incarnation: 7,
            terms: vec![
                ("--brokers".to_owned(), "kafka:9092".to_owned()),
                ("--epoch".to_owned(), "100ms".to_owned()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl Fn(&mut Hello)) -> String {
        let mut theirs = Hello::example(1);
        change(&mut theirs);
        let told = Hello::example(0).agrees(&theirs, "b:2102");
        told.map_or_else(|error| error.to_string(), |()| "agreed".to_owned())
    }

    #[test]
    fn who_it_is_need_not_agree() {
        assert_eq!(said(|theirs| theirs.incarnation = 8), "agreed");
    }

    #[test]
    fn the_setting_and_both_values_are_named() {
        let told = said(|theirs| theirs.workers = 3);
        let expected = "process 1 (b:2102) runs with --workers 3, and this one with --workers 2";
        assert!(told.starts_with(expected), "{told}");
        let told = said(|theirs| theirs.terms[1].1 = "1s".to_owned());
        assert!(told.contains("--epoch 1s"), "{told}");
        assert!(told.contains("--epoch 100ms"), "{told}");
    }

    #[test]
    fn the_version_is_looked_at_first() {
        let told = said(|theirs| {
            theirs.version = "2.0".to_owned();
            theirs.workers = 9;
        });
        assert!(told.contains("version of tidemark 2.0"), "{told}");
    }

    #[test]
    fn a_setting_that_only_one_has_is_a_difference() {
        let told = said(|theirs| drop(theirs.terms.pop()));
        assert!(told.contains("--epoch (not set)"), "{told}");
        let told = said(|theirs| theirs.terms.push(("--new".to_owned(), "x".to_owned())));
        assert!(told.contains("--new x"), "{told}");
    }
}
