//! Makes programs from the files of sites, for the web server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dropstar::{LoadFailure, Loaded, Loader, Package, Program, Purpose};

use crate::instance::node_name;
use crate::load::LoadError;
use crate::script::{Script, Seen};
use crate::serve::definition::{Body, Definition};
use crate::serve::package::{self, PackageFile};
use crate::serve::page;
use crate::serve::program::{BlockProgram, ScriptProgram, Surroundings, WrongProgram};
use crate::value::{Map, Value};

/// Loads pages and packages for one instance.
pub struct PageLoader {
    surroundings: Arc<Surroundings>,
}

impl PageLoader {
    /// For an instance and where it works.
    pub fn new(surroundings: Surroundings) -> Self {
        PageLoader { surroundings: Arc::new(surroundings) }
    }

    fn bind(&self, definition: Definition) -> Loaded {
        let allow = definition.declared.allow;
        let program: Option<Arc<dyn Program>> = match definition.body {
            None => None,
            Some(Body::Script(script)) => Some(Arc::new(self.script(script, allow))),
            Some(Body::Block { block, data }) => {
                let globals = self.globals(&data);
                let surroundings = Arc::clone(&self.surroundings);
                Some(Arc::new(BlockProgram { surroundings, block, data, allow, globals }))
            }
        };
        let template = definition.template.map(|(template, _)| template);
        Loaded { declaration: Arc::new(definition.declared.declaration), program, template }
    }

    fn script(&self, script: Script, allow: crate::script::Allow) -> ScriptProgram {
        let path = match &script {
            Script::File(path) => path.as_path(),
            Script::Lua { name, .. } | Script::Python { name, .. } => Path::new(name),
        };
        let is_child = !path.extension().is_some_and(|ending| ending == "lua" || ending == "py");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into();
        ScriptProgram {
            surroundings: Arc::clone(&self.surroundings),
            script,
            allow,
            name,
            is_child,
            seen: Seen::default(),
        }
    }

    fn globals(&self, data: &Map) -> Map {
        let mut globals = Map::new();
        globals.insert("data".into(), Value::Object(data.clone()));
        globals.insert("node".into(), node_name().into());
        globals.insert("block".into(), self.surroundings.instance.name.clone().into());
        globals
    }

    /// A definition of a package; one that is wrong becomes a page that fails.
    fn bind_or_fail(&self, definition: Result<Definition, LoadError>) -> Loaded {
        match definition {
            Ok(definition) => self.bind(definition),
            Err(error) => Loaded {
                declaration: Arc::default(),
                program: Some(Arc::new(WrongProgram(error.to_string()))),
                template: None,
            },
        }
    }
}

impl Loader for PageLoader {
    fn endings(&self) -> &[&str] {
        page::ENDINGS
    }

    fn load(&self, file: &Path, purpose: Purpose) -> Result<(Loaded, Vec<PathBuf>), LoadFailure> {
        let loaded = page::load(file, purpose).map_err(|error| failure(file, &error))?;
        Ok((self.bind(loaded.definition), loaded.files))
    }

    fn load_package(&self, file: &Path) -> Result<(Package, Vec<PathBuf>), LoadFailure> {
        let PackageFile { static_folder, public_folder, pages, procedures, files, .. } =
            package::load(file).map_err(|error| failure(file, &error))?;
        let package = Package {
            static_folder: static_folder.map(|(folder, _)| folder),
            public_folder: public_folder.map(|(folder, _)| folder),
            pages: pages.into_iter().map(|(name, found)| (name, self.bind_or_fail(found))).collect(),
            procedures: procedures.into_iter().map(|(name, found)| (name, self.bind_or_fail(found))).collect(),
        };
        Ok((package, files))
    }
}

/// With the files that the mistakes are in: a change of one of them is reason to try again.
fn failure(file: &Path, error: &LoadError) -> LoadFailure {
    let mut files = vec![file.to_path_buf()];
    for problem in &error.problems {
        let source = &problem.mark.source;
        let path = source.folder.join(source.name.file_name().unwrap_or_default());
        if !files.contains(&path) {
            files.push(path);
        }
    }
    LoadFailure { text: error.to_string(), files }
}
