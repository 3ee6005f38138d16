//! The commands of `netsh ipsec static`, and of `dynamic` what is about the driver.

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Makes an object.
    Add,
    /// Changes one.
    Set,
    /// Removes one or all.
    Delete,
}

/// What it does it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A filter of a filter list.
    Filter,
    /// A filter action.
    FilterAction,
    /// A filter list.
    FilterList,
    /// A policy.
    Policy,
    /// A rule.
    Rule,
    /// The default response rule of a policy.
    DefaultRule,
    /// Where the objects are kept.
    Store,
    /// Whether changes are applied together: they always are.
    Batch,
    /// Everything.
    All,
    /// The driver.
    Config,
}

/// One command with the tags that it knows, in the order in which they may stand without `tag=`.
pub(crate) struct Form {
    pub(crate) verb: Verb,
    pub(crate) object: Object,
    pub(crate) tags: &'static [&'static str],
}

const fn form(verb: Verb, object: Object, tags: &'static [&'static str]) -> Form {
    Form { verb, object, tags }
}

const FILTER: &[&str] = &[
    "filterlist",
    "srcaddr",
    "dstaddr",
    "description",
    "protocol",
    "mirrored",
    "srcmask",
    "dstmask",
    "srcport",
    "dstport",
];

/// `netsh ipsec static`.
pub(crate) const STATIC: &[(&str, &str, Form)] = &[
    ("add", "filter", form(Verb::Add, Object::Filter, FILTER)),
    (
        "add",
        "filteraction",
        form(
            Verb::Add,
            Object::FilterAction,
            &[
                "name",
                "description",
                "qmpfs",
                "inpass",
                "soft",
                "action",
                "qmsecmethods",
            ],
        ),
    ),
    (
        "add",
        "filterlist",
        form(Verb::Add, Object::FilterList, &["name", "description"]),
    ),
    (
        "add",
        "policy",
        form(
            Verb::Add,
            Object::Policy,
            &[
                "name",
                "description",
                "mmpfs",
                "qmpermm",
                "mmlifetime",
                "activatedefaultrule",
                "pollinginterval",
                "assign",
                "mmsecmethods",
            ],
        ),
    ),
    (
        "add",
        "rule",
        form(
            Verb::Add,
            Object::Rule,
            &[
                "name",
                "policy",
                "filterlist",
                "filteraction",
                "tunnel",
                "conntype",
                "activate",
                "description",
                "kerberos",
                "psk",
                "rootca",
            ],
        ),
    ),
    (
        "set",
        "filteraction",
        form(
            Verb::Set,
            Object::FilterAction,
            &[
                "name",
                "guid",
                "newname",
                "description",
                "qmpfs",
                "inpass",
                "soft",
                "action",
                "qmsecmethods",
            ],
        ),
    ),
    (
        "set",
        "filterlist",
        form(
            Verb::Set,
            Object::FilterList,
            &["name", "guid", "newname", "description"],
        ),
    ),
    (
        "set",
        "policy",
        form(
            Verb::Set,
            Object::Policy,
            &[
                "name",
                "guid",
                "newname",
                "description",
                "mmpfs",
                "qmpermm",
                "mmlifetime",
                "activatedefaultrule",
                "pollinginterval",
                "assign",
                "gponame",
                "mmsecmethods",
            ],
        ),
    ),
    (
        "set",
        "rule",
        form(
            Verb::Set,
            Object::Rule,
            &[
                "name",
                "id",
                "policy",
                "newname",
                "description",
                "filterlist",
                "filteraction",
                "tunnel",
                "conntype",
                "activate",
                "kerberos",
                "psk",
                "rootca",
            ],
        ),
    ),
    (
        "set",
        "defaultrule",
        form(
            Verb::Set,
            Object::DefaultRule,
            &[
                "policy",
                "qmpfs",
                "activate",
                "qmsecmethods",
                "kerberos",
                "psk",
                "rootca",
            ],
        ),
    ),
    (
        "set",
        "store",
        form(Verb::Set, Object::Store, &["location", "domain"]),
    ),
    ("set", "batch", form(Verb::Set, Object::Batch, &["mode"])),
    (
        "delete",
        "filter",
        form(
            Verb::Delete,
            Object::Filter,
            &[
                "filterlist",
                "srcaddr",
                "dstaddr",
                "protocol",
                "srcmask",
                "dstmask",
                "srcport",
                "dstport",
                "mirrored",
            ],
        ),
    ),
    (
        "delete",
        "filteraction",
        form(Verb::Delete, Object::FilterAction, &["name", "all"]),
    ),
    (
        "delete",
        "filterlist",
        form(Verb::Delete, Object::FilterList, &["name", "all"]),
    ),
    (
        "delete",
        "policy",
        form(Verb::Delete, Object::Policy, &["name", "all"]),
    ),
    (
        "delete",
        "rule",
        form(Verb::Delete, Object::Rule, &["name", "id", "all", "policy"]),
    ),
    ("delete", "all", form(Verb::Delete, Object::All, &[])),
];

/// `netsh ipsec dynamic`.
pub(crate) const DYNAMIC: &[(&str, &str, Form)] = &[(
    "set",
    "config",
    form(Verb::Set, Object::Config, &["property", "value"]),
)];

/// The form of a command, by its words in lower case.
pub(crate) fn find(
    table: &'static [(&str, &str, Form)],
    verb: &str,
    object: &str,
) -> Option<&'static Form> {
    let found = table
        .iter()
        .find(|(known, of, _)| *known == verb && *of == object);
    found.map(|(_, _, form)| form)
}

/// The objects that a verb knows, for a remedy.
pub(crate) fn objects(table: &'static [(&str, &str, Form)], verb: &str) -> Vec<&'static str> {
    let of_verb = table.iter().filter(|(known, _, _)| *known == verb);
    of_verb.map(|(_, object, _)| *object).collect()
}
