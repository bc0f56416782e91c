//! The names that a template may use, and JSON values as it sees them.

use std::sync::Arc;

use minijinja::Value as Filled;
use minijinja::value::{Enumerator, Object, ObjectExt as _};

use crate::{Map, Value};

/// The names that a template may use: a program's values, then the server's own.
#[derive(Debug)]
pub(crate) struct Names {
    values: Mapping,
    own: Box<dyn OwnNames>,
}

/// The names that the server adds to a program's values: `input_data`, `request_state`, `title`, `prefix`, …
pub(crate) trait OwnNames: std::fmt::Debug + Send + Sync {
    /// The value of a name, made when it is used; none if there is no such name.
    fn get(&self, name: &str) -> Option<Value>;
}

impl Names {
    /// What a program returned, and what the server adds.
    pub(crate) fn new(values: Map, own: Box<dyn OwnNames>) -> Names {
        Names { values: Mapping::from(values), own }
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Filled) -> Option<Filled> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Filled> {
        self.values.get(key).cloned().or_else(|| self.own.get(key).map(filled))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|names| names.values.keys())
    }
}

/// A JSON mapping, moved and not copied: its names stay where they are, and small ones are looked through in order,
/// which is faster than hashing.
#[derive(Debug)]
enum Mapping {
    Small(Vec<(String, Filled)>),
    Large(Map, Vec<Filled>),
}

/// Names up to which they are looked through in order.
const SMALL_MAX: usize = 12;

impl From<Map> for Mapping {
    fn from(mut map: Map) -> Self {
        if map.len() <= SMALL_MAX {
            return Mapping::Small(map.into_iter().map(|(name, value)| (name, filled(value))).collect());
        }
        // The map keeps the names with where their values are.
        let values = map.values_mut().enumerate().map(|(index, value)| {
            let taken = std::mem::replace(value, Value::from(index));
            filled(taken)
        });
        let values = values.collect();
        Mapping::Large(map, values)
    }
}

impl Mapping {
    fn get(&self, name: &str) -> Option<&Filled> {
        match self {
            Mapping::Small(pairs) => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Mapping::Large(map, values) => values.get(usize::try_from(map.get(name)?.as_u64()?).ok()?),
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = Filled> + Send + Sync + '_> {
        match self {
            Mapping::Small(pairs) => Box::new(pairs.iter().map(|(key, _)| Filled::from(key.as_str()))),
            Mapping::Large(map, _) => Box::new(map.keys().map(|key| Filled::from(key.as_str()))),
        }
    }

    fn len(&self) -> usize {
        match self {
            Mapping::Small(pairs) => pairs.len(),
            Mapping::Large(_, values) => values.len(),
        }
    }
}

impl Object for Mapping {
    fn get_value(self: &Arc<Self>, key: &Filled) -> Option<Filled> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Filled> {
        self.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|mapping| mapping.keys())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.len())
    }
}

/// A JSON value as a template sees it.
pub(super) fn filled(value: Value) -> Filled {
    match value {
        Value::Null => Filled::from(()),
        Value::Bool(is) => Filled::from(is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Filled::from(number),
            (None, Some(number)) => Filled::from(number),
            (None, None) => Filled::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Filled::from(text),
        Value::Array(values) => Filled::from(values.into_iter().map(filled).collect::<Vec<Filled>>()),
        Value::Object(map) => Filled::from_object(Mapping::from(map)),
    }
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl OwnNames for Nothing {
        fn get(&self, name: &str) -> Option<Value> {
            (name == "own").then(|| json!({"a": [1, 2]}))
        }
    }

    fn render(template: &str, values: Value) -> String {
        let Value::Object(values) = values else { panic!("no mapping") };
        let names = Filled::from_object(Names::new(values, Box::new(Nothing)));
        Environment::new().render_str(template, names).unwrap()
    }

    #[test]
    fn values_of_every_kind_are_seen_as_json_has_them() {
        let large: Map = (0..40).map(|n| (format!("k{n}"), json!(n))).collect();
        let values = json!({
            "text": "t", "whole": -3, "large": u64::MAX, "part": 1.5, "yes": true, "none": null,
            "list": [1, "a", [2]], "map": {"b": {"c": 1}, "a": 2}, "empty": {}, "many": large,
        });
        for (template, expected) in [
            (
                "{{ text }} {{ whole + 1 }} {{ large }} {{ part }} {{ yes }} {{ none }}",
                "t -2 18446744073709551615 1.5 True None",
            ),
            ("{{ list[1] }} {{ list[2][0] }} {{ list|length }}", "a 2 3"),
            ("{{ map.b.c }} {{ map['a'] }} {{ map|length }} {{ 'b' in map }}", "1 2 2 True"),
            ("{% for key in map %}{{ key }}{% endfor %}", "ba"),
            ("{% for key, value in map|dictsort %}{{ key }}{% endfor %}", "ab"),
            (
                "{% for key, value in many|items %}{{ value }},{% endfor %}",
                &(0..40).map(|n| format!("{n},")).collect::<String>(),
            ),
            ("{{ many.k39 }} {{ many.k40 is undefined }} {{ many|length }}", "39 True 40"),
            ("{% if empty %}full{% else %}empty{% endif %}", "empty"),
            ("{{ own.a[1] }} {{ map == {'b': {'c': 1}, 'a': 2} }}", "2 True"),
            ("{{ list == [1, 'a', [2]] }} {{ none is none }}", "True True"),
        ] {
            assert_eq!(render(template, values.clone()), expected, "{template}");
        }
    }
}
