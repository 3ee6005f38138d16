//! Sizes, captions, `lib.rs`, `unsafe` and orphans: the rules about one file.

use crate::tidy::breach;
use crate::tidy::source::Source;
use proc_macro2::Span;
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::visit::Visit;

const MAX_FILE: usize = 700;
const MAX_MEDIAN: usize = 250;
const MAX_FUNCTION: usize = 70;
const MAX_LINE: usize = 100;

/// Checks the rules that need no other file.
pub(crate) fn check(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !source.text.starts_with("//! ") {
        found.push(breach(
            source,
            1,
            "the first line is not a caption (`//! one sentence`).",
        ));
    }
    let lines = source.lines_without_tests();
    if lines > MAX_FILE {
        found.push(breach(
            source,
            1,
            &format!("{lines} lines; {MAX_FILE} at most: divide it."),
        ));
    }
    for (index, line) in source.text.lines().enumerate() {
        if line.chars().count() > MAX_LINE {
            found.push(breach(
                source,
                index + 1,
                "a line of more than 100 columns.",
            ));
        }
    }
    if source.path.ends_with("src/lib.rs") {
        found.extend(defines(source));
    }
    let mut visitor = Functions {
        source,
        found: Vec::new(),
        in_tests: source.is_tests(),
    };
    visitor.visit_file(&source.syntax);
    found.extend(visitor.found);
    found.extend(unsafe_code(source));
    found
}

/// `lib.rs` declares and documents; it defines nothing.
fn defines(source: &Source) -> Vec<String> {
    let allowed = |item: &&syn::Item| {
        !matches!(item, syn::Item::Mod(module) if module.content.is_none())
            && !matches!(item, syn::Item::Use(_))
    };
    let items = source.syntax.items.iter().filter(allowed);
    items
        .map(|item| {
            breach(
                source,
                line_of(item.span()),
                "lib.rs defines something: move it.",
            )
        })
        .collect()
}

struct Functions<'a> {
    source: &'a Source,
    found: Vec<String>,
    in_tests: bool,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, body: &syn::Block) {
        let span = body.span();
        let lines = span.end().line.saturating_sub(span.start().line) + 1;
        if lines > MAX_FUNCTION && !self.in_tests {
            let what = format!("`{name}` has {lines} lines; {MAX_FUNCTION} at most: divide it.");
            self.found
                .push(breach(self.source, span.start().line, &what));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig.ident, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig.ident, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let before = self.in_tests;
        self.in_tests |= item.ident == "tests";
        syn::visit::visit_item_mod(self, item);
        self.in_tests = before;
    }
}

/// `unsafe` lives in `crates/linux/src/**/sys.rs`, each block below a `// SAFETY:` line.
fn unsafe_code(source: &Source) -> Vec<String> {
    let home = source.path.starts_with("crates/linux") && source.path.ends_with("sys.rs");
    let mut blocks = Unsafe { lines: Vec::new() };
    blocks.visit_file(&source.syntax);
    let text: Vec<&str> = source.text.lines().collect();
    let explained = |line: usize| {
        let above = &text[line.saturating_sub(8)..line.min(text.len())];
        above.iter().any(|line| line.contains("SAFETY:"))
    };
    let mut found = Vec::new();
    for line in blocks.lines {
        if !home {
            found.push(breach(
                source,
                line,
                "`unsafe` outside crates/linux/src/**/sys.rs.",
            ));
        } else if !explained(line) {
            found.push(breach(
                source,
                line,
                "`unsafe` without a `// SAFETY:` line above.",
            ));
        }
    }
    let root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
    let forbids = source.text.contains("#![forbid(unsafe_code)]");
    if root && !forbids && !source.path.starts_with("crates/linux") {
        found.push(breach(source, 1, "`#![forbid(unsafe_code)]` is missing."));
    }
    found
}

struct Unsafe {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Unsafe {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.lines.push(line_of(block.span()));
        syn::visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = item.unsafety {
            self.lines.push(line_of(token.span()));
        }
        syn::visit::visit_item_impl(self, item);
    }
}

/// Every file is declared by the module above it.
pub(crate) fn orphans(sources: &[Source]) -> Vec<String> {
    let mut declared = BTreeSet::new();
    for source in sources {
        for item in &source.syntax.items {
            if let syn::Item::Mod(module) = item {
                let mut path = source.module.clone();
                path.push(module.ident.to_string());
                declared.insert(path);
            }
        }
    }
    let roots = |source: &&Source| !source.module.is_empty() && source.module[0] != "bin";
    let lost = sources
        .iter()
        .filter(roots)
        .filter(|source| !declared.contains(&source.module));
    lost.map(|source| breach(source, 1, "no module declares this file."))
        .collect()
}

/// The median file stays small.
pub(crate) fn median(lengths: &mut Vec<usize>) -> Option<String> {
    lengths.retain(|length| *length > 0);
    lengths.sort_unstable();
    let median = *lengths.get(lengths.len() / 2)?;
    (median >= MAX_MEDIAN).then(|| format!("the median file has {median} lines; below 250 wanted."))
}

fn line_of(span: Span) -> usize {
    span.start().line
}
