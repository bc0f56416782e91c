//! The loader against case files, places, hostile input and the public YAML test suite.

mod cases;
mod hostile;
mod includes;
mod places;
mod suite;
