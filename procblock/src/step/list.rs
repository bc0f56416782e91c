//! A run list: steps in order, the first failure ends it.
//!
//! Repeated steps that stand beside each other start together, so that one whose first run hangs does not keep the
//! others from running; their first results are then waited for in order. One with an `if`, which may ask for what the
//! ones before it gave, starts when it is reached.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::block::{Compiler, Failed, Run};
use crate::error::RunError;
use crate::load::Node;
use crate::step::CompiledStep;
use crate::thread::RunThread;

/// Run-threads that were started before their step is reached, by its place in the list.
type Started = VecDeque<(usize, Result<Arc<RunThread>, RunError>)>;

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
        let mut started = Started::new();
        for (index, step) in self.steps.iter().enumerate() {
            if started.is_empty() && step.starts_unasked() {
                started = self.start_threads(index, run);
            }
            outcome = match started.pop_front_if(|(place, _)| *place == index) {
                Some((_, Ok(thread))) => step.fetch(&thread, run).await,
                Some((_, Err(error))) => Err(error),
                None => step.run(run).await,
            };
            if outcome.is_err() {
                break;
            }
        }
        run.folder = folder;
        outcome.map_err(Failed::from)
    }

    /// Starts the repeated steps from `first` up to the next plain one, leaving out those with an `if`.
    fn start_threads(&self, first: usize, run: &Run) -> Started {
        let beside = self.steps.iter().enumerate().skip(first).take_while(|(_, step)| step.attributes.repeat.is_some());
        let together: Vec<_> = beside.filter(|(_, step)| step.starts_unasked()).collect();
        let count = together.len();
        together.into_iter().map(|(index, step)| (index, step.start_thread(run, count))).collect()
    }
}
