//! The environment of children: the keeper's own, made ready once, below what a step sets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::super::STEP_VARIABLE;

/// Variables that are the runner's alone: a child must not speak to systemd in its name. The marker is set for each.
const NOT_INHERITED: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", STEP_VARIABLE];

/// What every child inherits.
pub(super) struct Environment {
    /// As a process gets them.
    inherited: Vec<Variable>,
}

struct Variable {
    /// `NAME=value`
    text: CString,
    name_length: usize,
}

impl Environment {
    /// The environment of this process.
    pub(super) fn inherited() -> Environment {
        let of_children = std::env::vars_os().filter(|(name, _)| !NOT_INHERITED.iter().any(|own| *name == **own));
        let inherited = of_children.filter_map(|(name, value)| Variable::new(&name, &value).ok()).collect();
        Environment { inherited }
    }

    /// With a step's own variables, of which the last of a name counts, and its marker.
    ///
    /// # Errors
    /// A name or value holds a zero byte.
    pub(super) fn with(&self, own: &[(OsString, OsString)], marker: &str) -> io::Result<Vec<Cow<'_, CStr>>> {
        let own: BTreeMap<&OsStr, &OsStr> = own.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let is_own = |variable: &&Variable| !own.is_empty() && own.contains_key(variable.name());
        let inherited = self.inherited.iter().filter(|variable| !is_own(variable));
        let mut all: Vec<Cow<'_, CStr>> = Vec::with_capacity(self.inherited.len() + own.len() + 1);
        all.extend(inherited.map(|variable| Cow::Borrowed(variable.text.as_c_str())));
        for (name, value) in own.into_iter().filter(|(name, _)| *name != STEP_VARIABLE) {
            all.push(Cow::Owned(Variable::new(name, value)?.text));
        }
        all.push(Cow::Owned(Variable::new(OsStr::new(STEP_VARIABLE), OsStr::new(marker))?.text));
        Ok(all)
    }
}

impl Variable {
    fn new(name: &OsStr, value: &OsStr) -> io::Result<Variable> {
        let mut text = OsString::with_capacity(name.len() + value.len() + 2);
        text.push(name);
        text.push("=");
        text.push(value);
        Ok(Variable { text: CString::new(text.into_vec())?, name_length: name.len() })
    }

    fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.text.as_bytes().get(..self.name_length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(environment: &Environment, own: &[(&str, &str)]) -> Vec<String> {
        let own: Vec<(OsString, OsString)> = own.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let all = environment.with(&own, "mark").unwrap();
        all.iter().map(|text| text.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn own_variables_replace_inherited_ones_and_the_last_of_a_name_counts() {
        let inherited = [("A", "1"), ("AB", "2"), ("C", "a=b")];
        let inherited = inherited.map(|(name, value)| Variable::new(name.as_ref(), value.as_ref()).unwrap());
        let environment = Environment { inherited: inherited.into() };
        assert_eq!(texts(&environment, &[]), ["A=1", "AB=2", "C=a=b", "PROCBLOCK_STEP=mark"]);
        assert_eq!(
            texts(&environment, &[("A", "8"), ("A", "9"), ("PROCBLOCK_STEP", "false"), ("D", "")]),
            ["AB=2", "C=a=b", "A=9", "D=", "PROCBLOCK_STEP=mark"]
        );
        assert!(environment.with(&[("A".into(), "b\0c".into())], "mark").is_err());
    }

    #[test]
    fn the_environment_of_this_process_is_inherited_without_the_marker() {
        let names: Vec<OsString> =
            Environment::inherited().inherited.iter().map(|variable| variable.name().to_owned()).collect();
        assert!(names.contains(&"PATH".into()), "{names:?}");
        assert!(!names.contains(&STEP_VARIABLE.into()));
    }
}
