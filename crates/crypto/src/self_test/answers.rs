//! The known answers of the self-test, each with its source.

use crate::self_test::hex::hex;
use crate::suite::{Encryption, Group, Prf};

/// Something sealed: `key` is the key material, with the salt for an AEAD.
pub(crate) struct SealAnswer {
    pub(crate) key: &'static [u8],
    pub(crate) iv: &'static [u8],
    pub(crate) aad: &'static [u8],
    pub(crate) plaintext: &'static [u8],
    pub(crate) ciphertext: &'static [u8],
    pub(crate) icv: &'static [u8],
}

/// An exchange; without `peer` it is run with its own public value.
pub(crate) struct DhAnswer {
    pub(crate) private: &'static [u8],
    pub(crate) public: Expected,
    pub(crate) peer: Option<&'static [u8]>,
    pub(crate) shared: Expected,
}

/// A value, or the SHA-256 of a long one.
pub(crate) enum Expected {
    Value(&'static [u8]),
    Sha256([u8; 32]),
}

/// FIPS 180-4, example "abc".
pub(crate) const SHA1_ABC: [u8; 20] = hex("a9993e364706816aba3e25717850c26c9cd0d89d");

/// RFC 1321 appendix A.5, "abc".
pub(crate) const MD5_ABC: [u8; 16] = hex("900150983cd24fb0d6963f7d28e17f72");

/// FIPS 180-4, example "abc".
pub(crate) const SHA256_ABC: [u8; 32] =
    hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

/// RFC 4231 section 4.3.
pub(crate) const HMAC_KEY: &[u8] = b"Jefe";

/// RFC 4231 section 4.3, in two parts.
pub(crate) const HMAC_DATA: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];

/// RFC 4231 section 4.3: the HMAC whose hash has this length.
pub(crate) fn hmac(length: usize) -> Option<&'static [u8]> {
    match length {
        32 => Some(&HMAC_SHA256),
        48 => Some(&HMAC_SHA384),
        64 => Some(&HMAC_SHA512),
        20 => Some(&HMAC_SHA1),
        16 => Some(&HMAC_MD5),
        _ => None,
    }
}

/// RFC 2202 section 3, test case 2.
const HMAC_SHA1: [u8; 20] = hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");

/// RFC 2202 section 2, test case 2.
const HMAC_MD5: [u8; 16] = hex("750c783e6ab0b503eaa86e310a5db738");

const HMAC_SHA256: [u8; 32] =
    hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

const HMAC_SHA384: [u8; 48] = hex(
    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
     8e2240ca5e69e2c78b3239ecfab21649",
);

const HMAC_SHA512: [u8; 64] = hex(
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
     9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
);

/// SHA-256 of the longest prf+("key", "seed"); computed with Python's hmac.
pub(crate) fn prf_plus(prf: Prf) -> [u8; 32] {
    hex(match prf {
        Prf::HmacSha2_256 => "45391ddaa546d923aa71a6772953bc3c8421b2c69eea3c14fe9873a9bc24b53c",
        Prf::HmacSha2_384 => "bae166427c2efbc6e034c883aa05290d3a3abefef56b81e730f5c491d60384d7",
        Prf::HmacSha1 => "c06dd52a7ac128f5974ba5d5f7852cca94d57278f9b1348e35b1e2e932274cb0",
        Prf::HmacMd5 => "91e23e5569ed36eddbb3f268bd140d22ce8a124b832e28cb6915b6de3ac28ea1",
        Prf::HmacSha2_512 => "1c4288823ce91a3c1fe26921073a0f49e540c3cbbe42d53e2d07aa8edbe4d08f",
    })
}

/// The answer for a cipher, if there is one.
pub(crate) fn seal(encryption: Encryption) -> Option<&'static SealAnswer> {
    match encryption {
        Encryption::AesGcm16 { key_bits: 128 } => Some(&GCM_128),
        Encryption::AesGcm16 { key_bits: 256 } => Some(&GCM_256),
        Encryption::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        Encryption::AesCbc { key_bits: 128 } => Some(&CBC_128),
        Encryption::AesCbc { key_bits: 192 } => Some(&CBC_192),
        Encryption::AesCbc { key_bits: 256 } => Some(&CBC_256),
        Encryption::TripleDesCbc => Some(&TRIPLE_DES),
        Encryption::DesCbc => Some(&DES),
        Encryption::Null => Some(&NULL),
        _ => None,
    }
}

/// draft-mcgrew-gcm-test, case 2.
const GCM_128: SealAnswer = SealAnswer {
    key: &hex::<20>("feffe9928665731c6d6a8f9467308308cafebabe"),
    iv: &hex::<8>("facedbaddecaf888"),
    aad: &hex::<8>("0000a5f80000000a"),
    plaintext: &hex::<64>(
        "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100\
         0001000000000000037369700963796265726369747902646b00000100010001",
    ),
    ciphertext: &hex::<64>(
        "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c\
         3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1",
    ),
    icv: &hex::<16>("83b70d3aa8bc6ee4c309e9d85a41ad4a"),
};

/// draft-mcgrew-gcm-test, case 3.
const GCM_256: SealAnswer = SealAnswer {
    key: &hex::<36>(
        "abbccddef00112233445566778899aababbccddef00112233445566778899aab\
         11223344",
    ),
    iv: &hex::<8>("0102030405060708"),
    aad: &hex::<8>("4a2cbfe300000002"),
    plaintext: &hex::<52>(
        "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000\
         7002400020bf0000020405b40101040201020201",
    ),
    ciphertext: &hex::<52>(
        "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763\
         748a637985771d347f0545659f14e99def842d8e",
    ),
    icv: &hex::<16>("b335f4eecfdbf831824b4c4915956c96"),
};

/// RFC 7634 appendix A.
const CHACHA20_POLY1305: SealAnswer = SealAnswer {
    key: &hex::<36>(
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f\
         a0a1a2a3",
    ),
    iv: &hex::<8>("1011121314151617"),
    aad: &hex::<8>("0102030400000005"),
    plaintext: &hex::<88>(
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10\
         0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223\
         2425262728292a2b2c2d2e2f303132333435363701020204",
    ),
    ciphertext: &hex::<88>(
        "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6\
         14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3\
         cbec163fac469b502773f6fb94e664da9165b82829f641e0",
    ),
    icv: &hex::<16>("76aaa8266b7fb0f7b11b369907e1ad43"),
};

/// NIST SP 800-67 appendix B.1, first block.
const TRIPLE_DES: SealAnswer = SealAnswer {
    key: &hex::<24>("0123456789abcdef23456789abcdef01456789abcdef0123"),
    iv: &[0; 8],
    aad: &[],
    plaintext: &hex::<8>("5468652071756663"),
    ciphertext: &hex::<8>("a826fd8ce53b855f"),
    icv: &[],
};

/// FIPS 81 table C1, "Now is the time for all ".
const DES: SealAnswer = SealAnswer {
    key: &hex::<8>("0123456789abcdef"),
    iv: &hex::<8>("1234567890abcdef"),
    aad: &[],
    plaintext: b"Now is the time for all ",
    ciphertext: &hex::<24>("e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"),
    icv: &[],
};

/// RFC 2410: the plaintext itself.
const NULL: SealAnswer = SealAnswer {
    key: &[],
    iv: &[],
    aad: &[],
    plaintext: b"Network layer encryption",
    ciphertext: b"Network layer encryption",
    icv: &[],
};

/// NIST SP 800-38A F.2.1, first block.
const CBC_128: SealAnswer = SealAnswer {
    key: &hex::<16>("2b7e151628aed2a6abf7158809cf4f3c"),
    iv: &hex::<16>("000102030405060708090a0b0c0d0e0f"),
    aad: &[],
    plaintext: &hex::<16>("6bc1bee22e409f96e93d7e117393172a"),
    ciphertext: &hex::<16>("7649abac8119b246cee98e9b12e9197d"),
    icv: &[],
};

/// NIST SP 800-38A F.2.3, first block.
const CBC_192: SealAnswer = SealAnswer {
    key: &hex::<24>("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
    iv: &hex::<16>("000102030405060708090a0b0c0d0e0f"),
    aad: &[],
    plaintext: &hex::<16>("6bc1bee22e409f96e93d7e117393172a"),
    ciphertext: &hex::<16>("4f021db243bc633d7178183a9fa071e8"),
    icv: &[],
};

/// NIST SP 800-38A F.2.5, first block.
const CBC_256: SealAnswer = SealAnswer {
    key: &hex::<32>("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
    iv: &hex::<16>("000102030405060708090a0b0c0d0e0f"),
    aad: &[],
    plaintext: &hex::<16>("6bc1bee22e409f96e93d7e117393172a"),
    ciphertext: &hex::<16>("f58c4c04d6e5f1ba779eabfb5f7bfbd6"),
    icv: &[],
};

/// The answer for a group.
pub(crate) fn dh(group: Group) -> DhAnswer {
    match group {
        Group::Modp768 => MODP_768,
        Group::Modp1024 => MODP_1024,
        Group::Modp1536 => MODP_1536,
        Group::Modp2048 => MODP_2048,
        Group::Modp3072 => MODP_3072,
        Group::Modp4096 => MODP_4096,
        Group::Ecp256 => ECP_256,
        Group::Ecp384 => ECP_384,
        Group::Ecp521 => ECP_521,
        Group::Curve25519 => CURVE25519,
        Group::MlKem768 => ML_KEM_768,
        Group::MlKem1024 => ML_KEM_1024,
    }
}

/// FIPS 203 with d | z = 0102..40 and m = 4142..60, computed with kyber-py 1.0. The "peer" is m:
/// the exchange is run with ourselves.
const ML_KEM_768: DhAnswer = DhAnswer {
    private: &KEM_SEED,
    public: Expected::Sha256(hex(
        "db4782927013b79c13111f87949d9c9d39ca8c25dd52155d98d6e7f2bad55087",
    )),
    peer: Some(&KEM_MESSAGE),
    shared: Expected::Value(&hex::<32>(
        "5501fc523b745f41762a188de44a59b920f430146204ee4e793732396df7aa48",
    )),
};

/// As [`ML_KEM_768`].
const ML_KEM_1024: DhAnswer = DhAnswer {
    private: &KEM_SEED,
    public: Expected::Sha256(hex(
        "3a05c1d65fcaec3bec38e85c46d68bbcebf4070bf604e77024b5c19d7163b627",
    )),
    peer: Some(&KEM_MESSAGE),
    shared: Expected::Value(&hex::<32>(
        "7e99cc6a8b6f4850b1e3a2615b89d697773af5c1c5eebc5b27e61b61885c3765",
    )),
};

const KEM_SEED: [u8; 64] = hex(
    "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728\
     292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
);
const KEM_MESSAGE: [u8; 32] =
    hex("4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60");

/// RFC 2409, exponent 0102..18, computed with the integers of Python.
const MODP_768: DhAnswer = DhAnswer {
    private: &hex::<24>("0102030405060708090a0b0c0d0e0f101112131415161718"),
    public: Expected::Sha256(hex(
        "288d06679df140b314257ce67d0c10aff27a04487cdd21aed1cd917f7e7aafab",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "4a77fe0a4d5dd6b7557215847263088e622213d21e65f892e72118aeb1deec45",
    )),
};

/// RFC 2409, exponent 0102..18, computed with the integers of Python.
const MODP_1024: DhAnswer = DhAnswer {
    private: &hex::<24>("0102030405060708090a0b0c0d0e0f101112131415161718"),
    public: Expected::Sha256(hex(
        "35121d0f6442fde630275674a3e92c663bda40245e4da9eb5ccfdf4e182af854",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "58ed3526f0e87cf5475add096c4dc3663469cf1762e4d5d54bdc9bbcfb41eeaa",
    )),
};

/// RFC 3526, exponent 0102..18, computed with the integers of Python.
const MODP_1536: DhAnswer = DhAnswer {
    private: &hex::<24>("0102030405060708090a0b0c0d0e0f101112131415161718"),
    public: Expected::Sha256(hex(
        "63ba0b3c66ffeb37d60f9645e9f6b6bac45c718362d6606d87d31e6d39f25ad4",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "fbc6034c84ef20cd8bbd4250ed13948d81cbbd6f94680241a5e3012fe98ce167",
    )),
};

/// RFC 3526, exponent 0102..20, computed with the integers of Python.
const MODP_2048: DhAnswer = DhAnswer {
    private: &hex::<32>("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"),
    public: Expected::Sha256(hex(
        "0b9cb9036d2a594a7e3b43169bdf47ee9c7b64a2292203f1bb137b0b648d7e3c",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "f3bd7f8eea92478fe6a2dc4b2fcc31bfb6da63b5eded2ca45e7711ec9f77472c",
    )),
};

/// RFC 3526, exponent 0102..28, computed with the integers of Python.
const MODP_3072: DhAnswer = DhAnswer {
    private: &hex::<40>(
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728",
    ),
    public: Expected::Sha256(hex(
        "71cd9b27251732586c6a41ac0f0a75656b6a8230b1ec2452d3bca7a4da036034",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "b665cf4afdc34ef8afc0215288c767e893695640598d7dd321aec24beba5941a",
    )),
};

/// RFC 3526, exponent 0102..30, computed with the integers of Python.
const MODP_4096: DhAnswer = DhAnswer {
    private: &hex::<48>(
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\
         2122232425262728292a2b2c2d2e2f30",
    ),
    public: Expected::Sha256(hex(
        "98c3085677538ebfdd402b16495acba6e957e790870ccdca22443050c2fe4768",
    )),
    peer: None,
    shared: Expected::Sha256(hex(
        "157ca167bb4c8ac75350d0dd8063f6432f48331590ed712f0e937f2a06effef4",
    )),
};

/// RFC 5903 section 8.1.
const ECP_256: DhAnswer = DhAnswer {
    private: &hex::<32>("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"),
    public: Expected::Value(&hex::<64>(
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180\
         5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
    )),
    peer: Some(&hex::<64>(
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
         56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
    )),
    shared: Expected::Value(&hex::<32>(
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    )),
};

/// RFC 5903 section 8.2.
const ECP_384: DhAnswer = DhAnswer {
    private: &hex::<48>(
        "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655\
         e35b538041e649ee3faef896783ab194",
    ),
    public: Expected::Value(&hex::<96>(
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6\
         de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f\
         65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
    )),
    peer: Some(&hex::<96>(
        "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d\
         0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f\
         66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
    )),
    shared: Expected::Value(&hex::<48>(
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4\
         d603135569b9e9d09cf5d4a270f59746",
    )),
};

/// RFC 5903 section 8.3.
const ECP_521: DhAnswer = DhAnswer {
    private: &hex::<66>(
        "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0\
         95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d\
         4a52",
    ),
    public: Expected::Value(&hex::<132>(
        "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe\
         e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c\
         ed3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4\
         a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3\
         926f9582",
    )),
    peer: Some(&hex::<132>(
        "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21\
         9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9\
         460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207\
         7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd1\
         7f0fc56a",
    )),
    shared: Expected::Value(&hex::<66>(
        "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04\
         d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3\
         ddea",
    )),
};

/// RFC 8031 appendix A.
const CURVE25519: DhAnswer = DhAnswer {
    private: &hex::<32>("751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94"),
    public: Expected::Value(&hex::<32>(
        "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
    )),
    peer: Some(&hex::<32>(
        "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
    )),
    shared: Expected::Value(&hex::<32>(
        "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950",
    )),
};
