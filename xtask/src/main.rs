//! `cargo xtask VERB`: the chores of this repository that plain cargo does not do.
#![forbid(unsafe_code)]

mod chore;
mod packages;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask VERB
  tidy    hold the rules of ARCHITECTURE.md: arrows, sizes, captions, unsafe, circles
  test    install the Debian packages that the tests need, then run every check and test
          (--quick: no packages, no peers, no lab)
  packages  install and unpack the Debian packages that the tests need
  bench   install them, then measure throughput beside plain veth and strongSwan
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => tidy::run(),
        ["test"] => test::run(test::Extent::Everything),
        ["test", "--quick"] => test::run(test::Extent::Quick),
        ["packages"] => packages::install(),
        ["bench"] => test::bench(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
