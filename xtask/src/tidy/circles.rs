//! Imports inside a crate: a child never names its parent, and there is no circle.

use crate::tidy::breach;
use crate::tidy::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned;
use syn::visit::Visit;

type Module = Vec<String>;

/// Checks the imports of one crate's sources.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<Module> = sources.iter().map(|source| source.module.clone()).collect();
    let mut arrows: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_tests()) {
        let mut imports = Imports {
            found: Vec::new(),
            in_tests: false,
        };
        imports.visit_file(&source.syntax);
        for (line, path) in imports.found {
            if path.first().is_some_and(|first| first == "super") {
                found.push(breach(
                    source,
                    line,
                    "`super::` outside tests: name the sibling.",
                ));
                continue;
            }
            let Some(target) = resolve(&modules, &path[1..]) else {
                continue;
            };
            if target != source.module {
                arrows
                    .entry(source.module.clone())
                    .or_default()
                    .insert(target);
            }
        }
    }
    found.extend(circle(&arrows).map(|names| format!("import circle: {}", names.join(" -> "))));
    found
}

/// The module that `path` (without `crate`) names or lies in; `None` for the crate's root, whose
/// re-exports are for others.
fn resolve(modules: &BTreeSet<Module>, path: &[String]) -> Option<Module> {
    let longest = (1..=path.len())
        .rev()
        .find(|length| modules.contains(&path[..*length]));
    longest.map(|length| path[..length].to_vec())
}

struct Imports {
    found: Vec<(usize, Vec<String>)>,
    in_tests: bool,
}

impl Imports {
    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let extended = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&extended(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.push(name.span(), extended(&name.ident)),
            syn::UseTree::Rename(name) => self.push(name.span(), extended(&name.ident)),
            syn::UseTree::Glob(glob) => self.push(glob.span(), prefix.to_vec()),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(prefix, item));
            }
        }
    }

    fn push(&mut self, span: proc_macro2::Span, path: Vec<String>) {
        let ours = matches!(path.first().map(String::as_str), Some("crate" | "super"));
        if ours && !self.in_tests {
            self.found.push((span.start().line, path));
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.push(path.span(), names);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let before = self.in_tests;
        self.in_tests |= item.ident == "tests";
        syn::visit::visit_item_mod(self, item);
        self.in_tests = before;
    }
}

/// The first circle that a depth-first walk meets, as the names of its modules.
fn circle(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    arrows
        .keys()
        .find_map(|start| visit(start, arrows, &mut Vec::new(), &mut done))
}

fn visit<'a>(
    module: &'a Module,
    arrows: &'a BTreeMap<Module, BTreeSet<Module>>,
    path: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<String>> {
    if let Some(from) = path.iter().position(|seen| *seen == module) {
        let names = path[from..]
            .iter()
            .chain([&module])
            .map(|name| name.join("::"));
        return Some(names.collect());
    }
    if !done.insert(module) {
        return None;
    }
    path.push(module);
    let next = arrows.get(module).into_iter().flatten();
    let found = next
        .into_iter()
        .find_map(|target| visit(target, arrows, path, done));
    path.pop();
    found
}
