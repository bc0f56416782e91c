//! Each example of each declaration does what it says.

use procblock::docs;
use procblock::expr::Expr;
use procblock::spec::{Example, Expected};
use procblock::{Map, Value, step, tag};

use crate::support::Folder;

/// Every example with the name of what it belongs to.
pub(crate) fn all() -> Vec<(String, Example)> {
    let mut all: Vec<(String, Example)> = Vec::new();
    for tag in tag::ALL {
        all.extend(tag.spec().examples.iter().map(|example| (tag.spec().pattern.text(), *example)));
    }
    for step in step::ALL {
        all.extend(step.spec().examples.iter().map(|example| (format!("step {}", step.spec().name), *example)));
    }
    all.extend(docs::ATTRIBUTE_EXAMPLES.iter().map(|(name, example)| (format!("attribute {name}"), *example)));
    for (page, examples) in [
        ("usage", docs::USAGE_EXAMPLES),
        ("lua", docs::LUA_EXAMPLES),
        ("python", docs::PYTHON_EXAMPLES),
        ("unidist", docs::UNIDIST_EXAMPLES),
    ] {
        all.extend(examples.iter().map(|example| (page.to_string(), *example)));
    }
    all
}

/// What is wrong with an example, if anything.
fn fault(example: &Example) -> Option<String> {
    let folder = Folder::new();
    folder.write("example.yaml", example.yaml);
    let ran = folder.procblock(&["example.yaml"]);
    let fault = match example.expected {
        Expected::Result(json) if ran.code == 0 => {
            let expected: Value = serde_json::from_str(json).unwrap();
            let found = ran.json();
            (found != expected).then(|| format!("expected {expected}, found {found}"))
        }
        Expected::Result(_) => Some(format!("exit code {}", ran.code)),
        Expected::Failure(text) if ran.code == 1 && ran.error.contains(text) => None,
        Expected::Refused(text) if ran.code == 78 && ran.error.contains(text) => None,
        Expected::Failure(text) | Expected::Refused(text) => {
            Some(format!("exit code {}, expected \"{text}\"", ran.code))
        }
    };
    fault.map(|fault| format!("{fault}\n{}", ran.error))
}

#[test]
fn each_example_gives_what_it_says() {
    let faults: Vec<String> = all()
        .iter()
        .filter_map(|(name, example)| Some(format!("== {name}\n{}\n{}", example.yaml, fault(example)?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_tag_step_and_attribute_has_an_example() {
    for tag in tag::ALL {
        assert!(!tag.spec().examples.is_empty(), "{}", tag.spec().pattern.text());
    }
    for step in step::ALL {
        assert!(!step.spec().examples.is_empty(), "{}", step.spec().name);
    }
    for attribute in step::ATTRIBUTES {
        assert!(docs::ATTRIBUTE_EXAMPLES.iter().any(|(name, _)| *name == attribute.name), "{}", attribute.name);
    }
}

#[test]
fn each_expression_of_the_reference_gives_what_it_says() {
    let data: Map = serde_json::from_str(docs::EXPRESSION_DATA).unwrap();
    for (expression, json) in docs::EXPRESSION_EXAMPLES {
        let expected: Value = serde_json::from_str(json).unwrap();
        assert_eq!(Expr::parse(expression).unwrap().eval(&data).unwrap(), expected, "{expression}");
    }
}

#[test]
fn scripts_find_the_modules_of_the_reference_and_no_others() {
    let folder = Folder::new();
    let list = "
        local found = {}
        for module, functions in pairs({json = json, log = log, time = time, file = file, process = process,
            timeseries = timeseries, http = http, rpc = rpc, random = random}) do
          for name in pairs(functions) do found[#found + 1] = module .. '.' .. name end
        end
        table.sort(found)
        return {found = found}";
    folder.write("list.yaml", &format!("run:\n  - lua: |{}\n", list.replace('\n', "\n      ")));
    let ran = folder.procblock(&["list.yaml"]);
    let mut described: Vec<&str> = docs::LUA_MODULES.iter().map(|function| function.name).collect();
    described.sort_unstable();
    assert_eq!(ran.json().pointer("/run/found"), Some(&Value::from(described)));
}
