//! What the file changes of each view.

use std::collections::BTreeMap;

use super::{ConfigError, ViewOverride, cli::ViewOptions, error::did_you_mean, layers::Layers};

/// What must be known of a view to check its settings.
#[derive(Debug, Clone)]
pub struct KnownView<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its setting `time` takes: `kafka` and the event's time fields.
    pub times: Vec<&'a str>,
}

/// Checks names and time fields.
pub(super) fn overrides(
    given: &BTreeMap<String, ViewOptions>,
    known: &[KnownView<'_>],
    layers: &Layers,
) -> Result<BTreeMap<String, ViewOverride>, ConfigError> {
    let mut overrides = BTreeMap::new();
    for (name, options) in given {
        let key = format!("views.{name}");
        let Some(view) = known.iter().find(|view| view.name == name) else {
            let names = known.iter().map(|view| view.name);
            let hint = did_you_mean(name, names.clone());
            let all: Vec<&str> = names.collect();
            let problem = match hint.is_empty() {
                true => format!("no such view; there are {}", all.join(", ")),
                false => format!("no such view{hint}"),
            };
            return Err(layers.error(&key, problem));
        };
        let time = options.time.as_ref().map(|time| time.value.clone());
        if let Some(time) = &time
            && !view.times.contains(&time.as_str())
        {
            let takes = view.times.join(" or ");
            return Err(layers.error(
                &format!("{key}.time"),
                format!("{time:?}: it takes {takes}"),
            ));
        }
        let overridden = ViewOverride {
            window: options.window.as_ref().map(|window| window.value),
            time,
            lateness: options.lateness.as_ref().map(|lateness| lateness.value),
            group_index: options.group_index.as_ref().map(|given| given.value),
        };
        overrides.insert(name.clone(), overridden);
    }
    Ok(overrides)
}
