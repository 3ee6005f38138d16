//! Why octets are not an IKE message: the exact rule that they break, and where.

use std::fmt;

/// Octets that are not what they claim to be. The message is discarded, or answered with
/// INVALID_SYNTAX where RFC 7296 section 2.21 allows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The rule that is broken.
    pub reason: Reason,
    /// Where, in octets from the start of what was given to the decoder.
    pub offset: usize,
}

impl Malformed {
    /// A broken rule at an offset.
    pub fn new(reason: Reason, offset: usize) -> Self {
        Malformed { reason, offset }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at octet {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for Malformed {}

/// Declares the reasons with their sentences, so that each is written once.
macro_rules! reasons {
    ($($reason:ident: $sentence:literal,)*) => {
        /// The rules that a message can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $reason,)*
        }

        impl Reason {
            /// Every reason, for whoever keeps one counter per reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$reason,)*];

            /// The reason as one word.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$reason => stringify!($reason),)* }
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Reason::$reason => $sentence,)* })
            }
        }
    };
}

reasons! {
    Truncated: "a field ends after the octets do",
    MajorVersion: "the major version is not 2",
    IsakmpVersion: "the version is not 1.0",
    MessageLength: "the header's length is under 28, over 65,535 or more than was received",
    TrailingOctets: "octets follow the end that a length gives",
    Reserved: "a reserved octet before a payload is not zero",
    PayloadLength: "a payload is shorter than its header or longer than what holds it",
    TooManyPayloads: "there are more payloads than the limit",
    NestedEncryption: "an encrypted payload is inside an encrypted payload",
    PayloadCompany: "a payload is where its type has no place",
    UnknownDoi: "the domain of interpretation is not IPsec",
    UnknownSituation: "the situation is not SIT_IDENTITY_ONLY",
    NoProposal: "a Security Association payload holds no proposal",
    NoTransform: "a proposal holds no transform",
    SubstructureLength: "a proposal or transform is shorter than its header or leaves its holder",
    LastSubstructure: "the mark for more proposals or transforms disagrees with their number",
    TooManyProposals: "there are more proposals than the limit",
    ProposalNumber: "proposals are not numbered from one upwards by one",
    ProposalOrder: "a proposal's number is below that of the one before it",
    SpiSize: "the SPI's size does not fit its protocol",
    TooManyTransforms: "there are more transforms than the limit",
    TooManyAttributes: "there are more attributes than the limit",
    DuplicateKeyLength: "a transform has two key lengths",
    DuplicateAttribute: "a transform has two values of an attribute that is not a lifetime",
    AttributeLength: "an attribute's value is over the limit",
    KeyExchangeLength: "key exchange data is empty or over the limit",
    IdentificationLength: "an identity is over the limit",
    IdentificationRange: "an identity's first address is above its last",
    NonceLength: "a nonce is not of 16 to 256 octets",
    IsakmpNonceLength: "a nonce of IKEv1 is not of 8 to 256 octets",
    HashLength: "a hash or signature is empty or over the limit",
    AddressLength: "an address, subnet or range does not have the length of its type",
    NotifyLength: "a notification's data is over the limit",
    DeleteCount: "a Delete payload's count of SPIs disagrees with its length",
    TooManySpis: "there are more deleted SPIs than the limit",
    TooManySelectors: "there are more traffic selectors than the limit",
    SelectorLength: "a traffic selector's length does not fit its type",
    SelectorPorts: "a traffic selector's first port is above its last",
    SelectorAddresses: "a traffic selector's first address is above its last",
    FragmentNumber: "a fragment's number is not within its total, or that is over the limit",
    FragmentCompany: "a fragment that is not the first comes with unprotected payloads",
    FragmentLength: "a fragment is empty",
    Padding: "the padding is longer than what holds it",
    EncryptedLength: "an encrypted payload is too short for its IV and ICV or not whole blocks",
}
