//! Reads what an existing file holds, by librrd's own account, and compares it with what a series wants.

use std::collections::HashMap;
use std::path::Path;

use rrd::ops::info::InfoValue;

use super::error::SeriesError;
use super::spec::{Archive, Consolidation, FieldSpec, FieldType, SeriesSpec};
use super::structure::{Column, Definition};
use super::{field_name_in_file, read};

impl Definition {
    /// Reads the structure of a file.
    ///
    /// # Errors
    /// `Missing` when there is no file, `Library` when it is not an RRD.
    pub fn read(path: &Path) -> Result<Self, SeriesError> {
        read::require(path)?;
        let info = rrd::ops::info::info(path).map_err(SeriesError::library("read", path))?;
        Self::from_info(&info).ok_or_else(|| SeriesError::Library {
            action: "read",
            path: path.to_owned(),
            reason: "its header makes no sense".into(),
        })
    }

    pub(super) fn from_info(info: &HashMap<String, InfoValue>) -> Option<Self> {
        let mut columns = Vec::new();
        for key in info.keys() {
            let Some(name) = key.strip_prefix("ds[").and_then(|rest| rest.strip_suffix("].index")) else { continue };
            let index = count(info, key)?;
            columns.push((index, Column::from_info(info, name)));
        }
        columns.sort_by_key(|(index, _)| *index);
        // Those of another kind, such as forecasts, are left out.
        let is_there = |index: &usize| info.contains_key(&format!("rra[{index}].cf"));
        let archives = (0..).take_while(is_there).filter_map(|index| archive(info, index)).collect();
        let definition = Definition {
            step: count(info, "step").filter(|step| *step > 0)?,
            last_update: i64::try_from(count(info, "last_update")?).ok()?,
            columns: columns.into_iter().map(|(_, column)| column).collect(),
            archives,
            header_bytes: count(info, "header_size").unwrap_or(0),
        };
        (!definition.columns.is_empty()).then_some(definition)
    }

    /// Whether a file like this holds what `spec` wants, so that it can be updated as it is.
    pub(super) fn holds(&self, spec: &SeriesSpec) -> bool {
        let has_archives = spec.archives.is_empty() || spec.archives == self.archives;
        let has_field = |field: &FieldSpec| {
            let name = field_name_in_file(&field.name);
            self.columns.iter().any(|column| column.name == name && column.is(field, spec))
        };
        self.step == spec.interval.as_secs() && has_archives && spec.fields.iter().all(has_field)
    }
}

impl Column {
    fn from_info(info: &HashMap<String, InfoValue>, name: &str) -> Self {
        let key = |what: &str| format!("ds[{name}].{what}");
        let text = |what: &str| match info.get(&key(what)) {
            Some(InfoValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        Column {
            name: name.to_owned(),
            kind: text("type").and_then(FieldType::from_name),
            heartbeat: count(info, &key("minimal_heartbeat")).unwrap_or(0),
            min: number(info, &key("min")),
            max: number(info, &key("max")),
            last: text("last_ds").and_then(|text| text.parse().ok()).filter(|value: &f64| value.is_finite()),
        }
    }

    fn is(&self, field: &FieldSpec, spec: &SeriesSpec) -> bool {
        self.kind == Some(field.kind)
            && self.heartbeat == field.heartbeat_seconds(spec.interval)
            && self.min == field.min
            && self.max == field.max
    }
}

fn archive(info: &HashMap<String, InfoValue>, index: usize) -> Option<Archive> {
    let key = |what: &str| format!("rra[{index}].{what}");
    let Some(InfoValue::String(way)) = info.get(&key("cf")) else { return None };
    Some(Archive {
        consolidation: Consolidation::from_name(way)?,
        unknown_max: number(info, &key("xff")).unwrap_or(0.5),
        steps: u32::try_from(count(info, &key("pdp_per_row"))?).ok()?,
        rows: u32::try_from(count(info, &key("rows"))?).ok()?,
    })
}

fn count(info: &HashMap<String, InfoValue>, key: &str) -> Option<u64> {
    match info.get(key)? {
        InfoValue::Count(count) => Some(*count),
        InfoValue::Int(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

fn number(info: &HashMap<String, InfoValue>, key: &str) -> Option<f64> {
    match info.get(key)? {
        InfoValue::Value(value) => Some(*value).filter(|value| value.is_finite()),
        _ => None,
    }
}
