//! The checks themselves: each takes a file and says where it breaks a rule.

use std::fmt;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprAwait, ImplItemFn, Item, Macro, Meta, Signature, Token, Type, TypeReference};

use super::names::{Name, Target, attributes};
use super::tree::{Source, is_for_tests};
use super::{GUARDED, Layer, PLAIN};

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

fn violation(source: &Source, line: usize, what: impl Into<String>) -> Violation {
    Violation { path: source.path.clone(), line, what: what.into() }
}

/// What a file names beyond what its layer may name.
pub(super) fn layers(source: &Source, names: &[Name], layers: &[Layer]) -> Vec<Violation> {
    // The root of the crate only says which modules there are.
    let Some(module) = source.module.first() else { return Vec::new() };
    let Some(layer) = layers.iter().find(|layer| layer.name == module) else {
        return vec![violation(source, 1, format!("`{module}` is in no layer: give it a line in the table"))];
    };
    let breaks = |name: &Name| match &name.target {
        Target::Inner(path) => inner(layer, layers, path),
        Target::Outer(path) => outer(layer, path).or_else(|| {
            let foreign = path.first().is_some_and(|name| !is_standard(name));
            (name.exported && foreign)
                .then(|| "hands on another crate's names, so that others need not name it".to_owned())
        }),
    };
    let mut found: Vec<Violation> = names
        .iter()
        .filter_map(|name| Some(violation(source, name.line, format!("`{}` {}", name.target.words(), breaks(name)?))))
        .collect();
    found.dedup();
    found
}

fn inner(layer: &Layer, layers: &[Layer], path: &[String]) -> Option<String> {
    match path.first().map(String::as_str) {
        None | Some("*") => Some("is the root of the crate, through which every layer can be reached".to_owned()),
        Some(name) if name == layer.name || layer.layers.contains(&name) => None,
        Some(name) if layers.iter().any(|layer| layer.name == name) => {
            Some(format!("may not be named in `{}`", layer.name))
        }
        // Something that the root itself declares.
        Some(_) => Some("is in no layer".to_owned()),
    }
}

fn outer(layer: &Layer, path: &[String]) -> Option<String> {
    let written = path.join("::");
    let whole = written.trim_end_matches("::*");
    // The guards on the way; a glob also passes all that lie below it.
    let is_passed = |guard: &&str| lies_in(whole, guard) || (whole.len() < written.len() && lies_in(guard, whole));
    let guard = GUARDED.iter().copied().filter(is_passed).max_by_key(|guard| guard.len());
    let by_table = |granted: &&str| {
        // A module on the way to something granted gives nothing away: what is taken from it is looked at by itself.
        let leads_there = whole.len() == written.len() && lies_in(granted, whole);
        leads_there || (lies_in(whole, granted) && guard.is_none_or(|guard| lies_in(granted, guard)))
    };
    let by_nature =
        || guard.is_none() && path.first().is_some_and(|name| is_standard(name) || PLAIN.contains(&name.as_str()));
    (!layer.crates.iter().any(by_table) && !by_nature()).then(|| format!("may not be named in `{}`", layer.name))
}

/// `tokio::sync::mpsc` lies in `tokio::sync` and in `tokio`.
fn lies_in(path: &str, outer: &str) -> bool {
    path == outer || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

fn is_standard(name: &str) -> bool {
    ["std", "core", "alloc"].contains(&name)
}

/// Where a file names one of `words`, wherever that comes from.
pub(super) fn words(source: &Source, names: &[Name], words: &[&str]) -> Vec<Violation> {
    let is_meant = |name: &&Name| {
        let (Target::Inner(path) | Target::Outer(path)) = &name.target;
        path.iter().any(|part| words.contains(&part.as_str()))
    };
    let told = |name: &Name| violation(source, name.line, format!("`{}` may not be named here", name.target.words()));
    let mut found: Vec<Violation> = names.iter().filter(is_meant).map(told).collect();
    found.dedup();
    found
}

/// Where code of a pure layer awaits, or could change the state while it looks at it.
pub(super) fn impure(source: &Source, layers: &[Layer]) -> Vec<Violation> {
    let Some(layer) = layers.iter().find(|layer| source.module.first().is_some_and(|name| layer.name == name)) else {
        return Vec::new();
    };
    let mut finder =
        Finder { pure: layer.pure, reads_only: layer.layers.contains(&"store") && layer.pure, found: Vec::new() };
    source.syntax.items.iter().for_each(|item| finder.visit_item(item));
    finder.found.into_iter().map(|(line, what)| violation(source, line, what)).collect()
}

struct Finder {
    /// Nothing here awaits.
    pure: bool,
    /// The state is looked at and never changed.
    reads_only: bool,
    found: Vec<(usize, &'static str)>,
}

impl Finder {
    fn awaits(&mut self, span: Span) {
        if self.pure {
            self.found.push((span.start().line, "nothing in this layer awaits"));
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(word) if word == "await" || word == "async" => self.awaits(word.span()),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_signature(&mut self, signature: &'ast Signature) {
        if let Some(word) = &signature.asyncness {
            self.awaits(word.span());
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Async(block) => self.awaits(block.async_token.span()),
            Expr::Closure(closure) => closure.asyncness.iter().for_each(|word| self.awaits(word.span())),
            _ => {}
        }
        visit::visit_expr(self, expression);
    }

    fn visit_expr_await(&mut self, expression: &'ast ExprAwait) {
        self.awaits(expression.await_token.span());
        visit::visit_expr_await(self, expression);
    }

    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let is_state = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "State");
        if self.reads_only
            && let (Some(word), Type::Path(named)) = (&reference.mutability, &*reference.elem)
            && is_state(&named.path)
        {
            self.found.push((word.span().start().line, "the state is only read in this layer: `&State`"));
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.tokens(called.tokens.clone());
    }
}

/// `allow` and `expect` that do not say why.
pub(super) fn reasons(source: &Source) -> Vec<Violation> {
    struct Attributes(Vec<usize>);
    impl<'ast> Visit<'ast> for Attributes {
        fn visit_attribute(&mut self, attribute: &'ast Attribute) {
            if is_without_reason(&attribute.meta) {
                self.0.push(attribute.span().start().line);
            }
        }
    }
    let mut attributes = Attributes(Vec::new());
    attributes.visit_file(&source.syntax);
    attributes.0.into_iter().map(|line| violation(source, line, "a lint is let off without a reason")).collect()
}

fn is_without_reason(meta: &Meta) -> bool {
    let Meta::List(list) = meta else { return false };
    let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { return false };
    if list.path.is_ident("cfg_attr") {
        return parts.iter().skip(1).any(is_without_reason);
    }
    let lets_off = ["allow", "expect"].iter().any(|name| list.path.is_ident(name));
    lets_off && !parts.iter().any(|part| matches!(part, Meta::NameValue(said) if said.path.is_ident("reason")))
}

/// A file that is too long to be one thing.
pub(super) fn length(source: &Source, most: usize) -> Option<Violation> {
    let lines = source.text.lines().count();
    (lines > most)
        .then(|| violation(source, lines, format!("{lines} lines are more than {most}: it does more than one job")))
}

/// A module that does not open with its purpose.
pub(super) fn purpose(source: &Source) -> Option<Violation> {
    let says = source.syntax.attrs.iter().any(|attribute| attribute.path().is_ident("doc"));
    (!says && !source.test).then(|| violation(source, 1, "it does not open with its purpose (`//!`)"))
}
