//! What a file names: every path in it, written out from the root of its crate.
//!
//! Imports, `self`, `super` and aliases are followed, and macros and attributes are looked through token by token, so
//! that `use crate::host as machine; machine::RootedFs` is told as what it is. What only tests see is left out.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Spacing, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, ItemMod, ItemUse, Macro, Path, TraitItem, UseTree, Visibility};

use super::tree::{Source, is_for_tests};

/// One path that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The line in which it stands.
    pub(super) line: usize,
    /// What it leads to.
    pub(super) target: Target,
    /// It is imported for others: `pub use`.
    pub(super) exported: bool,
}

/// What a path leads to. A glob ends in `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// Something of this crate, from its root.
    Inner(Vec<String>),
    /// Something of another crate, whose name comes first.
    Outer(Vec<String>),
}

impl Target {
    /// As it is written: `crate::host::Clock`, `tokio::sync`.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Inner(path) => {
                std::iter::once("crate").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
            }
            Self::Outer(path) => path.join("::"),
        }
    }
}

/// All that `source` names outside of its tests. `crates` are the names of other crates.
pub(super) fn of(source: &Source, crates: &HashSet<String>) -> Vec<Name> {
    let mut reader =
        Reader { crates, scopes: vec![Scope::of(source.module.clone(), &source.syntax.items)], names: Vec::new() };
    for attribute in &source.syntax.attrs {
        reader.visit_attribute(attribute);
    }
    for item in &source.syntax.items {
        reader.visit_item(item);
    }
    reader.names
}

/// One module while it is read.
struct Scope {
    /// From the crate's root.
    module: Vec<String>,
    /// What imports call by another name, or by its last one.
    imports: HashMap<String, Vec<String>>,
    /// What is declared here, and so is no other crate.
    declared: HashSet<String>,
}

impl Scope {
    fn of(module: Vec<String>, items: &[Item]) -> Self {
        let mut scope = Self { module, imports: HashMap::new(), declared: HashSet::new() };
        for item in items.iter().filter(|item| !attributes(item).iter().any(is_for_tests)) {
            match item {
                Item::Mod(module) => drop(scope.declared.insert(module.ident.to_string())),
                Item::Enum(declared) => drop(scope.declared.insert(declared.ident.to_string())),
                Item::Struct(declared) => drop(scope.declared.insert(declared.ident.to_string())),
                _ => {}
            }
        }
        // Imports inside functions count for the whole module: no name is given two meanings in one file.
        let mut imports = Imports(&mut scope.imports);
        for item in items {
            imports.visit_item(item);
        }
        scope
    }
}

/// Gathers what the imports of one module are called.
struct Imports<'a>(&'a mut HashMap<String, Vec<String>>);

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {
        // A module has imports of its own.
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.attrs.iter().any(is_for_tests) {
            return;
        }
        for leaf in leaves(item) {
            if let Some(called) = leaf.called.filter(|called| called != "_") {
                // A name that stands for itself (`use tokio;`) leads nowhere else.
                if leaf.path != [called.clone()] {
                    self.0.insert(called, leaf.path);
                }
            }
        }
    }
}

/// One leaf of an import.
struct Leaf {
    path: Vec<String>,
    /// What it is called here; `None` for a glob.
    called: Option<String>,
    span: Span,
}

fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    let start = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
    spread(&item.tree, &start, &mut found);
    found
}

fn spread(tree: &UseTree, before: &[String], found: &mut Vec<Leaf>) {
    let with = |name: &Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => spread(&path.tree, &with(&path.ident), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| spread(tree, before, found)),
        UseTree::Glob(glob) => {
            let path = before.iter().cloned().chain(["*".to_owned()]).collect();
            found.push(Leaf { path, called: None, span: glob.span() });
        }
        // `use a::b::{self}` is `use a::b`.
        UseTree::Name(name) if name.ident == "self" && !before.is_empty() => {
            found.push(Leaf { path: before.to_vec(), called: before.last().cloned(), span: name.span() });
        }
        UseTree::Name(name) => {
            found.push(Leaf { path: with(&name.ident), called: Some(name.ident.to_string()), span: name.span() });
        }
        UseTree::Rename(rename) => {
            let path = if rename.ident == "self" && !before.is_empty() { before.to_vec() } else { with(&rename.ident) };
            found.push(Leaf { path, called: Some(rename.rename.to_string()), span: rename.span() });
        }
    }
}

struct Reader<'a> {
    crates: &'a HashSet<String>,
    scopes: Vec<Scope>,
    names: Vec<Name>,
}

impl Reader<'_> {
    fn note(&mut self, path: Vec<String>, span: Span, exported: bool) {
        if let Some(target) = self.resolve(path, 0) {
            self.names.push(Name { line: span.start().line, target, exported });
        }
    }

    /// Where a path leads, if not to something of this very module.
    fn resolve(&self, path: Vec<String>, depth: usize) -> Option<Target> {
        let scope = self.scopes.last()?;
        let first = path.first()?.as_str();
        match first {
            // `::name`; and `<T>::name`, which is something of a type.
            "" => self.crates.contains(path.get(1)?).then(|| Target::Outer(path[1..].to_vec())),
            "crate" | "hostler" => Some(Target::Inner(path[1..].to_vec())),
            "self" | "super" => {
                let rest = &path[usize::from(first == "self")..];
                let ups = rest.iter().take_while(|name| *name == "super").count();
                let kept = scope.module.len().checked_sub(ups)?;
                Some(Target::Inner(scope.module[..kept].iter().chain(&rest[ups..]).cloned().collect()))
            }
            _ if depth < 8 && scope.imports.contains_key(first) => {
                let longer = scope.imports[first].iter().chain(&path[1..]).cloned().collect();
                self.resolve(longer, depth + 1)
            }
            _ if scope.declared.contains(first) => None,
            _ => self.crates.contains(first).then_some(Target::Outer(path)),
        }
    }

    fn read_path(&mut self, path: &Path) {
        let start = path.leading_colon.is_some().then(String::new);
        let names: Vec<String> =
            start.into_iter().chain(path.segments.iter().map(|segment| segment.ident.to_string())).collect();
        // One word alone is a variable, or was imported.
        if names.len() > 1 {
            self.note(names, path.span(), false);
        }
    }

    /// Finds paths in what has not been parsed: `a::b::c`, where nothing but a type could stand before it.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read_tokens(group.stream());
                    at += 1;
                }
                TokenTree::Ident(first) => {
                    let span = first.span();
                    let mut path = vec![first.to_string()];
                    at += 1;
                    while let [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(next), ..] = &tokens[at..]
                        && (one.as_char(), one.spacing(), two.as_char()) == (':', Spacing::Joint, ':')
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.note(path, span, false);
                    }
                }
                // A method or a field is no path.
                TokenTree::Punct(dot)
                    if dot.as_char() == '.' && matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))) =>
                {
                    at += 2;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if function.attrs.iter().any(is_for_tests)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !matches!(item, TraitItem::Fn(function) if function.attrs.iter().any(is_for_tests)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let Some((_, items)) = &item.content else { return };
        let Some(scope) = self.scopes.last() else { return };
        let module = scope.module.iter().cloned().chain([item.ident.to_string()]).collect();
        self.scopes.push(Scope::of(module, items));
        for item in items {
            self.visit_item(item);
        }
        self.scopes.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let exported = matches!(item.vis, Visibility::Public(_));
        for leaf in leaves(item) {
            self.note(leaf.path, leaf.span, exported);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.read_path(path);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.read_path(&called.path);
        self.read_tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && !["doc", "expect", "allow", "cfg"].iter().any(|name| list.path.is_ident(name))
        {
            self.read_tokens(list.tokens.clone());
        }
    }
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    use syn::{
        ItemConst, ItemEnum, ItemExternCrate, ItemFn, ItemForeignMod, ItemImpl, ItemMacro, ItemStatic, ItemStruct,
        ItemTrait, ItemTraitAlias, ItemType, ItemUnion,
    };
    match item {
        Item::Const(ItemConst { attrs, .. })
        | Item::Enum(ItemEnum { attrs, .. })
        | Item::ExternCrate(ItemExternCrate { attrs, .. })
        | Item::Fn(ItemFn { attrs, .. })
        | Item::ForeignMod(ItemForeignMod { attrs, .. })
        | Item::Impl(ItemImpl { attrs, .. })
        | Item::Macro(ItemMacro { attrs, .. })
        | Item::Mod(ItemMod { attrs, .. })
        | Item::Static(ItemStatic { attrs, .. })
        | Item::Struct(ItemStruct { attrs, .. })
        | Item::Trait(ItemTrait { attrs, .. })
        | Item::TraitAlias(ItemTraitAlias { attrs, .. })
        | Item::Type(ItemType { attrs, .. })
        | Item::Union(ItemUnion { attrs, .. })
        | Item::Use(ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}
