//! The policies of Windows 2000 and 2003: `netsh ipsec static` scripts in, the same scripts out.
//!
//! [`parse::script`] reads a script into [`model`]'s objects, [`export::script`] writes one, and
//! [`policy_file::write`] makes a Holdfast policy file of it. What is `dynamic` in it becomes a
//! change of the running daemon: [`policy_file::change`]. Text in, text out: no file is opened.
#![forbid(unsafe_code)]

pub mod authentication;
mod command;
pub mod dynamic;
pub mod export;
pub mod filters;
pub mod finding;
mod grammar;
mod lexer;
mod machine;
pub mod methods;
pub mod model;
pub mod parse;
pub mod policy_file;
pub mod script;
mod toml;
mod value;
