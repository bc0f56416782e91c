//! A run list: steps in order, the first failure ends it.

use std::sync::Arc;

use crate::block::{Compiler, Failed, Run};
use crate::load::Node;
use crate::step::CompiledStep;

/// A compiled run list.
pub struct StepList {
    steps: Vec<Arc<CompiledStep>>,
}

impl StepList {
    /// Compiles every item; mistakes go to the compiler's problems.
    pub fn compile(node: &Node, compiler: &mut Compiler) -> Self {
        let Some(items) = node.items() else {
            let what = format!("a run list is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a list of steps, each line beginning with \"- \"");
            return StepList { steps: Vec::new() };
        };
        StepList {
            steps: items.iter().filter_map(|item| CompiledStep::compile(item, compiler)).map(Arc::new).collect(),
        }
    }

    /// Runs the steps in order. A `cd` among them lasts until the list ends.
    ///
    /// # Errors
    /// The first step that fails, unless it says `on error: continue`.
    pub async fn run(&self, run: &mut Run) -> Result<(), Failed> {
        let folder = run.folder.clone();
        let mut outcome = Ok(());
        for step in &self.steps {
            outcome = step.run(run).await;
            if outcome.is_err() {
                break;
            }
        }
        run.folder = folder;
        outcome.map_err(Failed::from)
    }
}
