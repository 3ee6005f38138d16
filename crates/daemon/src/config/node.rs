//! `[node]` and `[plane]`.

use std::path::PathBuf;

use crate::config::diagnostic::Problems;
use crate::config::section::{Bad, Section, Value};
use crate::config::settings::{NodeSettings, PlaneKind, PlaneSettings};
use crate::config::value;

const RUN_DIR: &str = "/run/holdfast";
/// Longest path of a Unix socket, in bytes, without its final zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// IFNAMSIZ without its final zero.
const MAX_INTERFACE: usize = 15;

fn path(value: &Value<'_>) -> Result<PathBuf, Bad> {
    let text = value::short_text(value, 4096)?;
    if !text.starts_with('/') {
        return Err(Bad::new("the path is not absolute", "begin it with `/`"));
    }
    Ok(PathBuf::from(text))
}

/// The name of a network interface.
pub(crate) fn interface(value: &Value<'_>) -> Result<String, Bad> {
    let name = value::text(value)?;
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    let fits = (1..=MAX_INTERFACE).contains(&name.len()) && name.chars().all(allowed);
    if !fits || matches!(name, "." | "..") {
        let reason = format!("`{}` is no name of an interface", name.escape_debug());
        let remedy = format!("write 1 to {MAX_INTERFACE} letters, digits, `-`, `_` or `.`");
        return Err(Bad::new(reason, remedy));
    }
    Ok(name.to_owned())
}

/// Reads `[node]`, if it is there.
pub(crate) fn read_node(root: &mut Section<'_>, problems: &mut Problems) -> NodeSettings {
    let mut node = NodeSettings {
        name: None,
        run_dir: PathBuf::from(RUN_DIR),
        control_socket: PathBuf::from(RUN_DIR).join("control.sock"),
        key_log_dir: None,
        puzzles: None,
        tcp_listen: None,
    };
    let Some(mut section) = root.table(problems, "node", "[node]") else {
        return node;
    };
    node.name = section.read(problems, "name", |value| {
        let name = value::text(value)?;
        let checked = cluster::NodeName::new(name).map(|name| name.as_str().to_owned());
        checked.map_err(|bad| {
            Bad::new(format!("`{}` is not a name", name.escape_debug()), {
                bad.to_string()
            })
        })
    });
    if let Some(dir) = section.read(problems, "run_dir", path) {
        node.control_socket = dir.join("control.sock");
        node.run_dir = dir;
    }
    if let Some(socket) = section.read(problems, "control_socket", path) {
        node.control_socket = socket;
    }
    if node.control_socket.as_os_str().len() > MAX_SOCKET_PATH {
        let message = "the path of the control socket is too long for a socket".to_owned();
        let label = format!("more than {MAX_SOCKET_PATH} bytes");
        let remedy = "use a shorter `run_dir` or `control_socket`".to_owned();
        problems.error(section.span.clone(), message, label, remedy);
    }
    node.key_log_dir = section.read(problems, "key_log_dir", path);
    if node.key_log_dir.is_some() {
        problems.warn(
            section.span_of("key_log_dir"),
            "every key is written to disk: who reads them can decrypt everything".to_owned(),
            "for debugging only".to_owned(),
            "remove the line when you are done, and the files too".to_owned(),
        );
    }
    let puzzles = section.read(problems, "puzzles", |value| {
        value::number_or_off(value, 8..=20)
    });
    node.puzzles = puzzles.flatten().and_then(|bits| u8::try_from(bits).ok());
    let listen = section.read(problems, "tcp_listen", |value| {
        value::number_or_off(value, 1..=u16::MAX)
    });
    node.tcp_listen = listen.flatten();
    section.finish(problems);
    node
}

/// `encapsulation`: whether ESP is always put into UDP.
pub(crate) fn encapsulation(value: &Value<'_>) -> Result<bool, Bad> {
    value::word(value, &[("auto", false), ("udp", true)])
}

/// `kind`: where ESP runs.
fn plane_kind(value: &Value<'_>) -> Result<PlaneKind, Bad> {
    let words = [
        ("auto", PlaneKind::Auto),
        ("kernel", PlaneKind::Kernel),
        ("user", PlaneKind::User),
    ];
    value::word(value, &words)
}

/// Reads `[plane]`, if it is there.
pub(crate) fn read_plane(root: &mut Section<'_>, problems: &mut Problems) -> PlaneSettings {
    let mut plane = PlaneSettings {
        kind: PlaneKind::User,
        offload: false,
        tun: "hf0".to_owned(),
        mtu: 1400,
        force_udp: false,
        table: 4846,
        mark: 0x4846,
        rule_priority: 4846,
    };
    let Some(mut section) = root.table(problems, "plane", "[plane]") else {
        return plane;
    };
    if let Some(kind) = section.read(problems, "kind", plane_kind) {
        plane.kind = kind;
    }
    if let Some(offload) = section.read(problems, "offload", value::boolean) {
        plane.offload = offload;
    }
    if plane.offload && plane.kind == PlaneKind::User {
        problems.warn(
            section.span_of("offload"),
            "`offload` means nothing here: ESP runs in user space".to_owned(),
            "a device does the kernel's ESP only".to_owned(),
            "add `kind = \"kernel\"` or `\"auto\"`, or remove the line".to_owned(),
        );
    }
    if let Some(tun) = section.read(problems, "tun", interface) {
        plane.tun = tun;
    }
    if let Some(mtu) = section.read(problems, "mtu", |value| value::number(value, 576..=9000)) {
        plane.mtu = u16::try_from(mtu).unwrap_or(plane.mtu);
    }
    if let Some(force) = section.read(problems, "encapsulation", encapsulation) {
        plane.force_udp = force;
    }
    // 0 and 253 to 255 are the kernel's own tables.
    let table = section.read(problems, "table", |value| {
        match value::number32(value, 1..=u32::MAX) {
            Ok(253..=255) => Err(Bad::new(
                "this is one of the kernel's own tables",
                "choose another number",
            )),
            other => other,
        }
    });
    plane.table = table.unwrap_or(plane.table);
    let mark = section.read(problems, "mark", |value| {
        value::number32(value, 1..=u32::MAX)
    });
    plane.mark = mark.unwrap_or(plane.mark);
    // The rules must stand before the kernel's rule for `main`, 32766.
    let priority = section.read(problems, "rule_priority", |value| {
        value::number32(value, 1..=32_000)
    });
    plane.rule_priority = priority.unwrap_or(plane.rule_priority);
    section.finish(problems);
    plane
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn puzzles_have_a_number_of_bits_or_there_are_none() {
        let read = |line: &str| {
            let mut no_files = |_: &str, _| Err("there are no files in this test".to_owned());
            parse("test.toml", &format!("[node]\n{line}\n"), &mut no_files)
                .map(|loaded| loaded.config.node.puzzles)
                .map_err(|report| report.render(false))
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("puzzles = \"off\""), Ok(None));
        assert_eq!(read("puzzles = 16"), Ok(Some(16)));
        for wrong in ["7", "21", "true", "\"on\""] {
            let report = read(&format!("puzzles = {wrong}")).unwrap_err();
            assert!(report.contains("from 8 to 20, or `\"off\"`"), "{report}");
        }
    }
}
