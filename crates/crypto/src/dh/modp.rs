//! The MODP groups of RFC 3526 and RFC 2409: Diffie-Hellman modulo a safe prime, generator 2.

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U768, U1024, U1536, U2048, U3072, U4096, Uint, const_monty_params};
use zeroize::Zeroizing;

use crate::secret::Secret;

const_monty_params!(
    Prime768,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF",
    "The 768-bit prime (RFC 2409 section 6.1)."
);

const_monty_params!(
    Prime1024,
    U1024,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    "The 1024-bit prime (RFC 2409 section 6.2)."
);

const_monty_params!(
    Prime1536,
    U1536,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF",
    "The 1536-bit prime (RFC 3526 section 2)."
);

const_monty_params!(
    Prime2048,
    U2048,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    "The 2048-bit prime (RFC 3526 section 3)."
);

const_monty_params!(
    Prime3072,
    U3072,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
     A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
     ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
     D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
     08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    "The 3072-bit prime (RFC 3526 section 4)."
);

const_monty_params!(
    Prime4096,
    U4096,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
     A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
     ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
     D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
     08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
     88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8\
     DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2\
     233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
     93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF",
    "The 4096-bit prime (RFC 3526 section 5)."
);

/// A group: what the primes have in common once their width is a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Modp {
    Bits768,
    Bits1024,
    Bits1536,
    Bits2048,
    Bits3072,
    Bits4096,
}

impl Modp {
    /// Length of a private exponent in bytes. RFC 3526 section 8 asks for twice the strength of
    /// the group, at most 180, 220, 260 and 300 bits by its first estimate; rounded up to whole
    /// words.
    pub(crate) fn exponent_length(self) -> usize {
        match self {
            Modp::Bits768 | Modp::Bits1024 | Modp::Bits1536 => 24,
            Modp::Bits2048 => 32,
            Modp::Bits3072 => 40,
            Modp::Bits4096 => 48,
        }
    }

    /// The exponent, unless it is 0. Any other keeps the public value off 1 and p - 1: 2 generates
    /// the subgroup of prime order (p - 1) / 2, and the exponent is far below that.
    pub(crate) fn exponent(self, drawn: Secret) -> Option<Secret> {
        let bits = drawn.as_bytes().iter().fold(0, |all, byte| all | byte);
        (bits != 0 && drawn.len() == self.exponent_length()).then_some(drawn)
    }

    /// Length of the modulus in bytes.
    pub(crate) fn length(self) -> usize {
        match self {
            Modp::Bits768 => 96,
            Modp::Bits1024 => 128,
            Modp::Bits1536 => 192,
            Modp::Bits2048 => 256,
            Modp::Bits3072 => 384,
            Modp::Bits4096 => 512,
        }
    }

    /// 2^exponent mod p, as long as p.
    pub(crate) fn public(self, exponent: &Secret) -> Vec<u8> {
        let mut two = vec![0; self.length()];
        if let Some(last) = two.last_mut() {
            *last = 2;
        }
        self.power(&two, exponent).as_bytes().to_vec()
    }

    /// base^exponent mod p, as long as p. The time depends on the group only.
    pub(crate) fn power(self, base: &[u8], exponent: &Secret) -> Secret {
        match self {
            Modp::Bits768 => power::<Prime768, { U768::LIMBS }>(base, exponent),
            Modp::Bits1024 => power::<Prime1024, { U1024::LIMBS }>(base, exponent),
            Modp::Bits1536 => power::<Prime1536, { U1536::LIMBS }>(base, exponent),
            Modp::Bits2048 => power::<Prime2048, { U2048::LIMBS }>(base, exponent),
            Modp::Bits3072 => power::<Prime3072, { U3072::LIMBS }>(base, exponent),
            Modp::Bits4096 => power::<Prime4096, { U4096::LIMBS }>(base, exponent),
        }
    }

    /// Whether 1 < value < p - 1 (RFC 6989 section 2.1), which for a safe prime is enough: the
    /// two values left out are the only ones in a small subgroup. `value` is as long as p.
    pub(crate) fn in_range(self, value: &[u8]) -> bool {
        match self {
            Modp::Bits768 => in_range::<Prime768, { U768::LIMBS }>(value),
            Modp::Bits1024 => in_range::<Prime1024, { U1024::LIMBS }>(value),
            Modp::Bits1536 => in_range::<Prime1536, { U1536::LIMBS }>(value),
            Modp::Bits2048 => in_range::<Prime2048, { U2048::LIMBS }>(value),
            Modp::Bits3072 => in_range::<Prime3072, { U3072::LIMBS }>(value),
            Modp::Bits4096 => in_range::<Prime4096, { U4096::LIMBS }>(value),
        }
    }
}

fn power<P: ConstMontyParams<LIMBS>, const LIMBS: usize>(base: &[u8], exponent: &Secret) -> Secret {
    let base = ConstMontyForm::<P, LIMBS>::new(&from_bytes(base));
    let bits = u32::try_from(exponent.len() * 8).unwrap_or(u32::MAX);
    let exponent: Zeroizing<Uint<LIMBS>> = Zeroizing::new(from_bytes(exponent.as_bytes()));
    let result = Zeroizing::new(base.pow_amm_bounded_exp(&exponent, bits));
    let result = Zeroizing::new(result.retrieve());
    Secret::new(to_bytes(&result))
}

fn in_range<P: ConstMontyParams<LIMBS>, const LIMBS: usize>(value: &[u8]) -> bool {
    let value = from_bytes::<LIMBS>(value);
    let last = P::PARAMS.modulus().as_ref().wrapping_sub(&Uint::ONE);
    value > Uint::ONE && value < last
}

/// Big-endian bytes, at most as many as the number has; missing leading ones are zero.
fn from_bytes<const LIMBS: usize>(bytes: &[u8]) -> Uint<LIMBS> {
    Uint::from_be_slice_truncated(bytes, Uint::<LIMBS>::BITS)
}

/// All bytes, most significant first (RFC 7296 section 2.14: padded to the modulus).
fn to_bytes<const LIMBS: usize>(value: &Uint<LIMBS>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<Uint<LIMBS>>());
    for word in value.as_words().iter().rev() {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}
