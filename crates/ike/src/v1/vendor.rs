//! What both ends say of themselves in vendor IDs ([MS-IKEE] section 1.7, RFC 3706, RFC 3947).

use policy::pad::Peer;
use policy::version::Legacy;
use wire::isakmp::vendor::Vendor as Id;
use wire::isakmp::{Chain, NatNumbers, Payload};

use crate::record::codec::{Reader, Writer};
use crate::v1::gss;

/// Who sends this acknowledges deletes as Windows does ([MS-IKEE] section 3.8), without being it:
/// MD5 of `Holdfast acknowledged delete`.
const ACKNOWLEDGED_DELETE: [u8; 16] =
    *b"\x5e\x92\x8d\xb9\xd5\x8e\xd6\x2f\xce\x10\xc2\x40\x9a\x1b\x71\x10";

/// The version of Windows Server 2003, as it says it.
const WINDOWS_2003: u32 = 4;

/// What a peer said of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vendor {
    /// The version, if it is Windows.
    pub(crate) windows: Option<u32>,
    /// It acknowledges deletes.
    pub(crate) acknowledges: bool,
    /// It answers R-U-THERE.
    pub(crate) dead_peer_detection: bool,
    /// It knows RFC 3947, and the draft.
    pub(crate) rfc3947: bool,
    pub(crate) draft: bool,
    /// It puts fragments together.
    pub(crate) fragmentation: bool,
    /// It has no SA with us, as far as it knows.
    pub(crate) initial_contact: bool,
    /// It is a member of a cluster.
    pub(crate) nlbs_present: bool,
    /// It knows Kerberos.
    pub(crate) gssapi: bool,
}

impl Vendor {
    /// What a message says.
    pub(crate) fn of(chain: &Chain<'_>) -> Self {
        let mut vendor = Vendor::default();
        for located in &chain.payloads {
            if let Payload::VendorId(octets) = &located.payload {
                vendor.note(octets);
            }
        }
        vendor
    }

    fn note(&mut self, octets: &[u8]) {
        if octets == ACKNOWLEDGED_DELETE {
            self.acknowledges = true;
        }
        match Id::of(octets) {
            Some(Id::MsNt5IsakmpOakley(version)) => {
                self.windows = Some(version);
                self.acknowledges = true;
                // It says so only by being what it is.
                self.gssapi = true;
            }
            Some(Id::DeadPeerDetection) => self.dead_peer_detection = true,
            Some(Id::NatTRfc3947) => self.rfc3947 = true,
            Some(Id::NatTDraft02 | Id::NatTDraft02LineFeed | Id::NatTDraft03) => self.draft = true,
            Some(Id::Fragmentation) => self.fragmentation = true,
            Some(Id::InitialContact) => self.initial_contact = true,
            Some(Id::NlbsPresent) => self.nlbs_present = true,
            Some(Id::Gssapi | Id::GssMethod | Id::GssMethodLineFeed) => self.gssapi = true,
            _ => {}
        }
    }

    /// Writes down what a survivor must know of the peer.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.option(self.windows, Writer::u32);
        let flags = [
            self.acknowledges,
            self.dead_peer_detection,
            self.rfc3947,
            self.draft,
            self.fragmentation,
            self.initial_contact,
            self.nlbs_present,
            self.gssapi,
        ];
        flags.into_iter().for_each(|flag| to.flag(flag));
    }

    /// Reads what [`Vendor::write`] wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Vendor {
            windows: from.option(Reader::u32)?,
            acknowledges: from.flag()?,
            dead_peer_detection: from.flag()?,
            rfc3947: from.flag()?,
            draft: from.flag()?,
            fragmentation: from.flag()?,
            initial_contact: from.flag()?,
            nlbs_present: from.flag()?,
            gssapi: from.flag()?,
        })
    }

    /// Which numbers NAT traversal has with this peer, if it knows of it and we let it.
    pub(crate) fn nat(&self, peer: &Peer) -> Option<NatNumbers> {
        match self.rfc3947 && peer.ike.legacy.is_none() {
            true => Some(NatNumbers::Rfc3947),
            false => self.draft.then_some(NatNumbers::Draft),
        }
    }
}

/// What is true of us at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    /// We have no SA with the peer.
    pub(crate) initial_contact: bool,
    /// Our address moves between the members of a cluster.
    pub(crate) in_cluster: bool,
}

/// What we say of ourselves to a peer.
pub(crate) fn announce(peer: &Peer, situation: Situation) -> Vec<Payload> {
    let mut ids: Vec<Vec<u8>> = Vec::new();
    let mut say = |id: Id| ids.push(id.octets());
    match peer.ike.legacy {
        Some(Legacy::Windows2003) => {
            say(Id::MsNt5IsakmpOakley(WINDOWS_2003));
            say(Id::Fragmentation);
            say(Id::NatTDraft02LineFeed);
        }
        None => {
            say(Id::NatTRfc3947);
            say(Id::NatTDraft02LineFeed);
            if peer.ike.fragment_size.is_some() {
                say(Id::Fragmentation);
            }
        }
    }
    if gss::of(peer).is_some() {
        say(Id::Gssapi);
    }
    if peer.ike.liveness.is_some() {
        say(Id::DeadPeerDetection);
    }
    if situation.initial_contact {
        say(Id::InitialContact);
    }
    if situation.in_cluster && peer.ike.advertise_fast_failover {
        say(Id::NlbsPresent);
    }
    if peer.ike.legacy.is_none() {
        ids.push(ACKNOWLEDGED_DELETE.to_vec());
    }
    ids.into_iter().map(Payload::VendorId).collect()
}
