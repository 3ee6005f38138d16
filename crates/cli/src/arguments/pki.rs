//! The options of `holdfast pki`.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand)]
pub(crate) enum PkiAction {
    /// Make an authority, which vouches for nodes and peers
    Ca {
        /// Its folder; ca.pem and ca.key are put there
        dir: PathBuf,
        /// Its name, which certificates show as their issuer
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        key: KeyOptions,
        /// How many days it is valid
        #[arg(long, value_name = "N", default_value = "3652", value_parser = days)]
        days: Duration,
    },
    /// Make a certificate for a node of ours, and print what the configuration needs
    Node(CertificateOptions),
    /// Make a certificate for a peer, also as PKCS#12
    Peer(CertificateOptions),
    /// Make the authority's revocation list anew, and take certificates back
    Crl {
        /// The authority's folder; crl.pem is put there
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// A certificate that does not hold any more (may be repeated)
        #[arg(long, value_name = "FILE")]
        revoke: Vec<PathBuf>,
        /// The same by its number, where the certificate is lost (may be repeated)
        #[arg(long, value_name = "HEX")]
        serial: Vec<pki::Serial>,
        /// Why: unspecified, key-compromise, superseded or cessation-of-operation
        #[arg(long, value_name = "WHY", default_value = "unspecified")]
        reason: pki::Reason,
        /// How many days the list is valid: make a new one before
        #[arg(long, value_name = "N", default_value = "30", value_parser = days)]
        days: Duration,
    },
    /// Say what is in a file, and what is wrong with it
    Show {
        /// Certificates, a revocation list or a private key, in PEM or DER form
        file: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct KeyOptions {
    /// The kind of its key: ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "KIND", default_value_t)]
    pub(crate) key: pki::KeyKind,
}

#[derive(Args)]
pub(crate) struct CertificateOptions {
    /// The name of its files, NAME.pem and NAME.key, and of its subject
    pub(crate) name: String,
    /// The authority's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    /// Whom it speaks for: a domain name, an IP address or name@domain (may be repeated)
    #[arg(long, value_name = "ID", required = true)]
    pub(crate) id: Vec<String>,
    #[command(flatten)]
    pub(crate) key: KeyOptions,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value = "730", value_parser = days)]
    pub(crate) days: Duration,
    /// Name an extended key usage for systems that insist: ipsec-ike, server-auth or client-auth
    /// (may be repeated; ipsec-ike is always among them)
    #[arg(long, value_name = "USAGE")]
    pub(crate) usage: Vec<pki::Usage>,
    /// Name an OCSP responder, http://HOST/PATH, who can say whether it still holds
    #[arg(long, value_name = "URL")]
    pub(crate) ocsp: Option<pki::Responder>,
    /// Where the files are put; the authority's folder when not given
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write NAME.p12 too, for Windows and others
    #[arg(long, requires = "password_file")]
    pub(crate) p12: bool,
    /// The file with the password for it in the first line
    #[arg(long, value_name = "FILE", requires = "p12")]
    pub(crate) password_file: Option<PathBuf>,
    /// Encrypt NAME.p12 in the old way, for Windows Server 2016 and older
    #[arg(long, requires = "p12")]
    pub(crate) p12_legacy: bool,
}

/// A number of days.
fn days(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(days) if (1..=pki::limits::MAX_DAYS).contains(&days) => {
            Ok(Duration::from_secs(u64::from(days) * 24 * 3600))
        }
        _ => Err(format!("give days, from 1 to {}", pki::limits::MAX_DAYS)),
    }
}
