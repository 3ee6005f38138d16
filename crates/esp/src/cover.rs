//! What the ICV covers besides IV and ciphertext (RFC 4303 2.2.1, RFC 4106 5, RFC 7634 2).

/// Additional authenticated data in front, and what follows the ciphertext.
///
/// Without extended numbers both sorts of cipher have `SPI | low 32 bits` in front. With them an
/// AEAD has `SPI | high | low` in front, and a separate integrity algorithm has the high half
/// behind the ciphertext, where it is not transmitted.
pub(crate) struct Cover {
    aad: [u8; 12],
    aad_length: usize,
    suffix: [u8; 4],
    suffix_length: usize,
}

impl Cover {
    #[inline]
    pub(crate) fn new(spi: u32, sequence: u64, esn: bool, aead: bool) -> Self {
        let [s0, s1, s2, s3] = spi.to_be_bytes();
        let [h0, h1, h2, h3, l0, l1, l2, l3] = sequence.to_be_bytes();
        let suffix = [h0, h1, h2, h3];
        if esn && aead {
            let aad = [s0, s1, s2, s3, h0, h1, h2, h3, l0, l1, l2, l3];
            return Cover {
                aad,
                aad_length: 12,
                suffix,
                suffix_length: 0,
            };
        }
        let aad = [s0, s1, s2, s3, l0, l1, l2, l3, 0, 0, 0, 0];
        Cover {
            aad,
            aad_length: 8,
            suffix,
            suffix_length: if esn { 4 } else { 0 },
        }
    }

    /// What is authenticated in front.
    #[inline]
    pub(crate) fn aad(&self) -> &[u8] {
        self.aad.get(..self.aad_length).unwrap_or_default()
    }

    /// What is authenticated behind the ciphertext.
    #[inline]
    pub(crate) fn suffix(&self) -> &[u8] {
        self.suffix.get(..self.suffix_length).unwrap_or_default()
    }
}
