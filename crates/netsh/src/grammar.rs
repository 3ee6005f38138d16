//! The commands of `netsh ipsec static` and `netsh ipsec dynamic`.

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
    /// What dynamic rules have main mode negotiate.
    MainPolicy,
    /// What dynamic rules have quick mode negotiate.
    QuickPolicy,
    /// A rule of the running computer.
    DynamicRule,
    /// Everything that is dynamic.
    AllDynamic,
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

const MAIN_POLICY: &[&str] = &[
    "name",
    "qmpermm",
    "mmlifetime",
    "softsaexpirationtime",
    "mmsecmethods",
];
const QUICK_POLICY: &[&str] = &["name", "soft", "pfsgroup", "qmsecmethods"];
const NAME_OR_ALL: &[&str] = &["name", "all"];

/// `netsh ipsec dynamic`.
pub(crate) const DYNAMIC: &[(&str, &str, Form)] = &[
    (
        "add",
        "mmpolicy",
        form(Verb::Add, Object::MainPolicy, MAIN_POLICY),
    ),
    (
        "add",
        "qmpolicy",
        form(Verb::Add, Object::QuickPolicy, QUICK_POLICY),
    ),
    (
        "add",
        "rule",
        form(
            Verb::Add,
            Object::DynamicRule,
            &[
                "srcaddr",
                "dstaddr",
                "mmpolicy",
                "qmpolicy",
                "protocol",
                "srcport",
                "dstport",
                "mirrored",
                "conntype",
                "actioninbound",
                "actionoutbound",
                "srcmask",
                "dstmask",
                "tunneldstaddress",
                "kerberos",
                "psk",
                "rootca",
            ],
        ),
    ),
    (
        "set",
        "config",
        form(Verb::Set, Object::Config, &["property", "value"]),
    ),
    (
        "set",
        "mmpolicy",
        form(Verb::Set, Object::MainPolicy, MAIN_POLICY),
    ),
    (
        "set",
        "qmpolicy",
        form(Verb::Set, Object::QuickPolicy, QUICK_POLICY),
    ),
    (
        "set",
        "rule",
        form(
            Verb::Set,
            Object::DynamicRule,
            &[
                "srcaddr",
                "dstaddr",
                "protocol",
                "srcport",
                "dstport",
                "mirrored",
                "conntype",
                "srcmask",
                "dstmask",
                "tunneldstaddress",
                "mmpolicy",
                "qmpolicy",
                "actioninbound",
                "actionoutbound",
                "kerberos",
                "psk",
                "rootca",
            ],
        ),
    ),
    (
        "delete",
        "mmpolicy",
        form(Verb::Delete, Object::MainPolicy, NAME_OR_ALL),
    ),
    (
        "delete",
        "qmpolicy",
        form(Verb::Delete, Object::QuickPolicy, NAME_OR_ALL),
    ),
    (
        "delete",
        "rule",
        form(
            Verb::Delete,
            Object::DynamicRule,
            &[
                "srcaddr",
                "dstaddr",
                "protocol",
                "srcport",
                "dstport",
                "mirrored",
                "conntype",
                "srcmask",
                "dstmask",
                "tunneldstaddress",
                "all",
            ],
        ),
    ),
    ("delete", "all", form(Verb::Delete, Object::AllDynamic, &[])),
];

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
